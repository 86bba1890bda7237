"""A user who swaps the .ssh of a home in a tight loop: the directory, links to others' directories, a FIFO.

    swap.py HOME PARENT     counts in HOME/swaps; ends when the process PARENT has
"""

import os
import random
import shutil
import sys
import time

os.chdir(sys.argv[1])
swaps = 0
while os.getppid() == int(sys.argv[2]):
    for target in ["/root/.ssh", "/home/local/.ssh", None]:
        try:
            os.rename(".ssh", "real")
            if target:
                os.symlink(target, ".ssh")
            else:
                os.mkfifo(".ssh")
            os.unlink(".ssh")
            os.rename("real", ".ssh")
            # Else hardly a write would begin.
            time.sleep(random.random() / 200)
        except OSError:
            # An update moved something aside, or made a directory of its own: from now on that is the one to swap.
            for name in os.listdir("."):
                if name == "real" or name.startswith(".ssh."):
                    shutil.rmtree(name) if os.path.isdir(name) and not os.path.islink(name) else os.unlink(name)
            if not os.path.isdir(".ssh") or os.path.islink(".ssh"):
                if os.path.lexists(".ssh"):
                    os.unlink(".ssh")
                os.mkdir(".ssh", 0o700)
        swaps += 1
        if swaps % 50 == 0:
            with open("swaps", "w", encoding="ascii") as file:
                file.write(f"{swaps}\n")
