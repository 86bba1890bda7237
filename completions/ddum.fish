# Completion of ddum(8) for fish.

# __ddum_at COMMAND [VERB...]: whether the command line has come to this command and one of these verbs; without a
# verb, whether it has come to the command. `__ddum_at daemon` is where no command is.
function __ddum_at
    set -l words (commandline -opc)
    set -l takes -c --config -p --pidfile --root --users --groups --passwd --password --shadow --group --gshadow \
        --user-table --users-table --group-table --groups-table --region --profile --uid --uid-range --gid \
        --real-name --home --shell --key --password-changed --min-days --max-days --warn-days --disable-days \
        --expires --unset --members --administrators --account --tag
    set -l command daemon
    set -l verb
    set -l skip 0
    if string match -q '*dynamodb-user-export' -- $words[1]
        set command export
    end
    for word in $words[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word $takes
            set skip 1
        else if string match -q -- '-*' $word
            continue
        else if test $command = daemon
            set command $word
        else if test -z "$verb"; and contains $command tables user group key
            set verb $word
        end
    end
    test $command = $argv[1]; or return 1
    if contains $command tables user group key
        if test (count $argv) = 1
            test -z "$verb"
        else
            contains -- "$verb" $argv[2..-1]
        end
    end
end

for name in ddum dynamodb-user-manager dynamodb-user-export
    complete -c $name -f

    complete -c $name -s c -l config -r -F -d 'The configuration'
    complete -c $name -l root -x -a '(__fish_complete_directories)' -d 'Act on the file tree under a directory'
    complete -c $name -s v -l verbose -d 'Say more'
    complete -c $name -s q -l quiet -d 'Say only what went wrong'
    complete -c $name -s V -l version -d 'Print the version'
    complete -c $name -s h -l help -d 'Print the help'

    for at in daemon help
        complete -c $name -n "__ddum_at $at" -a sync -d 'Update once'
        complete -c $name -n "__ddum_at $at" -a check -d 'Show what sync would do, and what is doubtful'
        complete -c $name -n "__ddum_at $at" -a status -d 'Show what the last update did'
        complete -c $name -n "__ddum_at $at" -a explain -d 'Tell how one user or group comes about'
        complete -c $name -n "__ddum_at $at" -a export -d 'Write accounts to the tables or to files'
        complete -c $name -n "__ddum_at $at" -a tables -d 'Make and show the tables, print policies'
        complete -c $name -n "__ddum_at $at" -a user -d 'Users in the table'
        complete -c $name -n "__ddum_at $at" -a group -d 'Groups in the table'
        complete -c $name -n "__ddum_at $at" -a key -d 'SSH keys in the table'
        complete -c $name -n "__ddum_at $at" -a help -d 'Print the help of a command'
    end

    complete -c $name -n '__ddum_at daemon' -s f -l foreground -d 'Do not go into the background'
    complete -c $name -n '__ddum_at daemon' -s p -l pidfile -r -F -d 'One daemon runs for each'
    for at in daemon sync check explain
        complete -c $name -n "__ddum_at $at" -l users -r -F -d 'Read the Users table from a file'
        complete -c $name -n "__ddum_at $at" -l groups -r -F -d 'Read the Groups table from a file'
    end
    complete -c $name -n '__ddum_at sync' -l dry-run -d 'Print what would change; change nothing'
    complete -c $name -n '__ddum_at status' -l json -d 'Print the report as it was stored'
    complete -c $name -n '__ddum_at explain' -l json -d 'Print for programs'
    complete -c $name -n '__ddum_at explain' -a '(__fish_complete_users; __fish_complete_groups)'

    complete -c $name -n '__ddum_at export' -F
    complete -c $name -n '__ddum_at export' -l to-files -d 'Write to the files USERS and GROUPS'
    complete -c $name -n '__ddum_at export' -l from-tables -d 'What is written comes from the tables'
    complete -c $name -n '__ddum_at export' -l overwrite -d 'Change items that are there'
    complete -c $name -n '__ddum_at export' -l all -d 'Also system accounts'
    complete -c $name -n '__ddum_at export' -l dry-run -d 'Print what would be written; write nothing'
    complete -c $name -n '__ddum_at export' -l json -d 'Print for programs'
    complete -c $name -n '__ddum_at export' -l passwd -r -F -d 'Instead of /etc/passwd'
    complete -c $name -n '__ddum_at export' -l password -r -F -d 'Instead of /etc/passwd'
    complete -c $name -n '__ddum_at export' -l no-passwd -d 'No users'
    complete -c $name -n '__ddum_at export' -l no-password -d 'No users'
    complete -c $name -n '__ddum_at export' -l shadow -r -F -d 'Instead of /etc/shadow'
    complete -c $name -n '__ddum_at export' -l no-shadow -d 'No passwords and no ageing'
    complete -c $name -n '__ddum_at export' -l group -r -F -d 'Instead of /etc/group'
    complete -c $name -n '__ddum_at export' -l no-group -d 'No groups'
    complete -c $name -n '__ddum_at export' -l gshadow -r -F -d 'Instead of /etc/gshadow'
    complete -c $name -n '__ddum_at export' -l no-gshadow -d 'No passwords and no administrators of groups'
    complete -c $name -n '__ddum_at export' -l user-table -x -d 'The table of users'
    complete -c $name -n '__ddum_at export' -l users-table -x -d 'The table of users'
    complete -c $name -n '__ddum_at export' -l group-table -x -d 'The table of groups'
    complete -c $name -n '__ddum_at export' -l groups-table -x -d 'The table of groups'
    complete -c $name -n '__ddum_at export' -l region -x -d 'The region of the tables'
    complete -c $name -n '__ddum_at export' -l profile -x -d 'A profile of the AWS configuration files'

    complete -c $name -n '__ddum_at tables' -a 'create describe policy'
    complete -c $name -n '__ddum_at tables policy' -a 'reader admin self'
    complete -c $name -n '__ddum_at tables create' -l tag -x -d 'A tag of both new tables'
    complete -c $name -n '__ddum_at tables create' -l no-backups -d 'Without point-in-time recovery'
    complete -c $name -n '__ddum_at tables create' -l no-protection -d 'Without deletion protection'
    complete -c $name -n '__ddum_at tables create' -l dry-run -d 'Print what would be made; make nothing'
    complete -c $name -n '__ddum_at tables create describe policy' -l json -d 'Print for programs'
    complete -c $name -n '__ddum_at tables policy' -l account -x -d 'The AWS account'

    complete -c $name -n '__ddum_at user' -a 'list show add set expire enable delete'
    complete -c $name -n '__ddum_at user list show set expire enable delete' -a '(__fish_complete_users)'
    complete -c $name -n '__ddum_at user list' -l expired -d 'Whose account has expired'
    complete -c $name -n '__ddum_at user list' -l without-keys -d 'Who has no key'
    complete -c $name -n '__ddum_at user list add' -l uid-range -x -d 'Where to find or to look for UIDs'
    complete -c $name -n '__ddum_at user list add' -l group -x -a '(__fish_complete_groups)' -d 'The primary group'
    complete -c $name -n '__ddum_at user list show add set expire enable delete' -l json -d 'Print for programs'
    complete -c $name -n '__ddum_at user add set' -l uid -x -a auto -d 'The UID'
    complete -c $name -n '__ddum_at user add set' -l gid -x -d 'The GID of the primary group'
    complete -c $name -n '__ddum_at user add set' -l real-name -x -d 'The real name'
    complete -c $name -n '__ddum_at user add set' -l home -x -a '(__fish_complete_directories)' -d 'The home directory'
    complete -c $name -n '__ddum_at user add set' -l shell -r -F -d 'The login shell'
    complete -c $name -n '__ddum_at user add set' -l expires -x -d 'When the account closes, YYYY-MM-DD'
    complete -c $name -n '__ddum_at user add set' -l password-hash-stdin -d 'A crypt(5) hash is on standard input'
    complete -c $name -n '__ddum_at user add set' -l password-changed -x -d 'When, YYYY-MM-DD'
    complete -c $name -n '__ddum_at user add set' -l min-days -x -d 'Days before the password may be changed'
    complete -c $name -n '__ddum_at user add set' -l max-days -x -d 'Days after which it must be changed'
    complete -c $name -n '__ddum_at user add set' -l warn-days -x -d 'Days of warning before that'
    complete -c $name -n '__ddum_at user add set' -l disable-days -x -d 'Days after that until the account is locked'
    complete -c $name -n '__ddum_at user add' -l groups -x -a '(__fish_complete_groups)' -d 'Member of these'
    complete -c $name -n '__ddum_at user add' -l key -r -F -d 'A file with public keys'
    complete -c $name -n '__ddum_at user set' -l unset -x -d 'Take away an attribute' -a 'RealName Home Shell Password
        LastPasswordChangeDate PasswordAgeMinDays PasswordAgeMaxDays PasswordWarnDays PasswordDisableDays
        AccountExpireDate'
    complete -c $name -n '__ddum_at user set expire delete' -s y -l yes -d 'Do not ask'
    complete -c $name -n '__ddum_at user add set expire enable delete' -l dry-run -d 'Write nothing'

    complete -c $name -n '__ddum_at group' -a 'list show add set join leave delete'
    complete -c $name -n '__ddum_at group list show set join leave delete' -a '(__fish_complete_groups)'
    complete -c $name -n '__ddum_at group join leave' -a '(__fish_complete_users)'
    complete -c $name -n '__ddum_at group list show add set join leave delete' -l json -d 'Print for programs'
    complete -c $name -n '__ddum_at group add set' -l gid -x -a auto -d 'The GID'
    complete -c $name -n '__ddum_at group add set' -l members -x -a '(__fish_complete_users)' -d 'All members'
    complete -c $name -n '__ddum_at group add set' -l administrators -x -a '(__fish_complete_users)' -d 'All of them'
    complete -c $name -n '__ddum_at group add set' -l password-hash-stdin -d 'A crypt(5) hash is on standard input'
    complete -c $name -n '__ddum_at group set' -l unset -x -a 'Password Administrators Members' -d 'Take away'
    complete -c $name -n '__ddum_at group join leave' -l as-administrators -d 'As administrators, not as members'
    complete -c $name -n '__ddum_at group set leave delete' -s y -l yes -d 'Do not ask'
    complete -c $name -n '__ddum_at group add set join leave delete' -l dry-run -d 'Write nothing'

    complete -c $name -n '__ddum_at key' -a 'list add disable enable delete'
    complete -c $name -n '__ddum_at key list add disable enable delete' -a '(__fish_complete_users)'
    complete -c $name -n '__ddum_at key add' -F
    complete -c $name -n '__ddum_at key list add disable enable delete' -l json -d 'Print for programs'
    complete -c $name -n '__ddum_at key list add disable enable delete' -l me-from-env -d 'The user that $USER names'
    complete -c $name -n '__ddum_at key add' -l expires -x -d 'Until when sshd takes the keys'
    complete -c $name -n '__ddum_at key disable delete' -s y -l yes -d 'Do not ask'
    complete -c $name -n '__ddum_at key add disable enable delete' -l dry-run -d 'Write nothing'
end
