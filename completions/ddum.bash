# shellcheck shell=bash
# Completion of ddum(8) for bash.

# Sets `options` to those of a command, or of a command and its verb, without the common ones.
_ddum_options() {
  local files='--users --groups' ageing='--min-days --max-days --warn-days --disable-days'
  local user="--uid --gid --real-name --home --shell --expires --password-hash-stdin --password-changed $ageing"
  local group='--gid --members --administrators --password-hash-stdin'
  case $1 in
    '') options="--foreground --pidfile $files" ;;
    sync) options="--dry-run $files" ;;
    check) options=$files ;;
    status) options='--json' ;;
    explain) options="--json $files" ;;
    export)
      options='--to-files --from-tables --overwrite --all --dry-run --json --region --profile'
      options+=' --passwd --password --no-passwd --no-password --shadow --no-shadow'
      options+=' --group --no-group --gshadow --no-gshadow'
      options+=' --user-table --users-table --group-table --groups-table'
      ;;
    'tables create') options='--tag --no-backups --no-protection --dry-run --json' ;;
    'tables describe') options='--json' ;;
    'tables policy') options='--account --json' ;;
    'user list') options='--expired --without-keys --group --uid-range --json' ;;
    'user show') options='--json' ;;
    'user add') options="$user --group --groups --key --uid-range --dry-run --json" ;;
    'user set') options="$user --unset --yes --dry-run --json" ;;
    'user expire' | 'user delete') options='--yes --dry-run --json' ;;
    'user enable') options='--dry-run --json' ;;
    'group list' | 'group show') options='--json' ;;
    'group add') options="$group --dry-run --json" ;;
    'group set') options="$group --unset --yes --dry-run --json" ;;
    'group join') options='--as-administrators --dry-run --json' ;;
    'group leave') options='--as-administrators --yes --dry-run --json' ;;
    'group delete') options='--yes --dry-run --json' ;;
    'key list') options='--me-from-env --json' ;;
    'key add') options='--me-from-env --expires --dry-run --json' ;;
    'key disable' | 'key delete') options='--me-from-env --yes --dry-run --json' ;;
    'key enable') options='--me-from-env --dry-run --json' ;;
    *) options='' ;;
  esac
}

# Offers what compgen knows; a name with blanks is one.
_ddum_reply() {
  mapfile -t COMPREPLY < <(compgen "$@" -- "$current")
}

# What may follow an option that takes a value; $1 is the command, $2 the option.
_ddum_value() {
  case $1,$2 in
    *,--root | user,--home) _ddum_reply -d ;;
    user,--group | user,--groups) _ddum_reply -g ;;
    group,--members | group,--administrators) _ddum_reply -u ;;
    user,--shell) _ddum_reply -W "$(grep -s '^/' /etc/shells)" ;;
    user,--uid | group,--gid) _ddum_reply -W auto ;;
    user,--unset)
      _ddum_reply -W "RealName Home Shell Password LastPasswordChangeDate PasswordAgeMinDays
        PasswordAgeMaxDays PasswordWarnDays PasswordDisableDays AccountExpireDate"
      ;;
    group,--unset) _ddum_reply -W 'Password Administrators Members' ;;
    *,-c | *,--config | *,-p | *,--pidfile | *,--users | *,--groups | *,--key) _ddum_reply -f ;;
    export,--passwd | export,--password | export,--shadow | export,--group | export,--gshadow)
      _ddum_reply -f
      ;;
  esac
}

_ddum() {
  local current=${COMP_WORDS[COMP_CWORD]} command='' verb='' option='' options='' index word
  local takes=' -c --config -p --pidfile --root --users --groups --passwd --password --shadow --group --gshadow
    --user-table --users-table --group-table --groups-table --region --profile --uid --uid-range --gid --real-name
    --home --shell --key --password-changed --min-days --max-days --warn-days --disable-days --expires --unset
    --members --administrators --account --tag '
  COMPREPLY=()
  [[ ${COMP_WORDS[0]##*/} != dynamodb-user-export ]] || command="export"

  # bash makes three words of --config=FILE.
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=${COMP_WORDS[index]}
    if [[ -n $option ]]; then
      [[ $word == = ]] || option=''
    elif [[ $word == -* ]]; then
      [[ $takes != *[[:space:]]"$word"[[:space:]]* ]] || option=$word
    elif [[ -z $command ]]; then
      command=$word
    elif [[ -z $verb && $command == @(tables|user|group|key) ]]; then
      verb=$word
    fi
  done
  if [[ -n $option ]]; then
    [[ $current != = ]] || current=''
    _ddum_value "$command" "$option"
    return
  fi

  if [[ $current == -* ]]; then
    _ddum_options "$command${verb:+ $verb}"
    options+=' --config --root --verbose --quiet --version --help'
    _ddum_reply -W "$options"
    return
  fi
  case $command,$verb in
    , | help,*) options='sync check status explain export tables user group key help' ;;
    tables,) options='create describe policy' ;;
    tables,policy) options='reader admin self' ;;
    user,) options='list show add set expire enable delete' ;;
    group,) options='list show add set join leave delete' ;;
    key,) options='list add disable enable delete' ;;
    user,add | group,add) return ;;
    user,* | key,list | key,disable | key,enable | key,delete)
      _ddum_reply -u
      return
      ;;
    key,add)
      _ddum_reply -u -f
      return
      ;;
    group,join | group,leave | explain,*)
      _ddum_reply -u -g
      return
      ;;
    group,*)
      _ddum_reply -g
      return
      ;;
    export,*)
      _ddum_reply -f
      return
      ;;
  esac
  _ddum_reply -W "$options"
}

complete -o filenames -F _ddum ddum dynamodb-user-manager dynamodb-user-export
