# What a release consists of. Each line is a script of packaging/, which says what it reads and leaves.
# DDUM_DIST, DDUM_PROFILE and DDUM_SIGNING_KEY in the environment reach them; README.md has a section on this.

export DDUM_DIST ?= $(or $(CARGO_TARGET_DIR),target)/dist

.NOTPARALLEL:
.PHONY: help binaries packages repos clean-dist

help:
	@echo 'make binaries    static binaries of both architectures: $(DDUM_DIST)/bin/{amd64,arm64}/ddum'
	@echo 'make packages    those, and of each a .deb and an .rpm in $(DDUM_DIST)'
	@echo 'make repos       those, and signed repositories of them: $(DDUM_DIST)/apt, $(DDUM_DIST)/dnf'
	@echo 'make clean-dist  removes $(DDUM_DIST)'

binaries:
	packaging/binary amd64
	packaging/binary arm64

packages: binaries
	packaging/deb amd64
	packaging/deb arm64
	packaging/rpm amd64
	packaging/rpm arm64

repos: packages
	packaging/repos

clean-dist:
	rm -rf -- '$(DDUM_DIST)'
