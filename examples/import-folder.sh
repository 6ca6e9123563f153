#!/usr/bin/env bash
# Imports every file of a drop folder (CSV, packed or not, workbooks, JSON lines), and sorts them by what became of them.
#
#   import-folder.sh FOLDER COMMAND...
#   import-folder.sh /srv/ibctl/leads leads import
#   import-folder.sh /srv/ibctl/spend ads spend import
#   import-folder.sh /srv/ibctl/rates commissions rates import
#
#   FOLDER/done/     files that were imported, wholly (exit code 0) or but for some rows (6)
#   FOLDER/failed/   files of which nothing could be imported (3); the refused rows of the others, to mend and drop again;
#                    and beside each what ibctl said about it, as .log
#
# Anything else, such as a database that cannot be reached, ends the script at once; that file and those after it stay in
# FOLDER for the next time. Files that changed in the last minute or two are left alone: they may not be complete.
#
# It says nothing while all is well, so that cron sends a mail only when somebody has to look. It ends with 0, or with
# the exit code of the last import that did not end with 0. Two runs at once do no harm: ibctl lets one import wait for
# the other, and a file that is imported twice writes nothing the second time.

set -euo pipefail

if (( $# < 2 )); then
  echo "usage: $0 FOLDER COMMAND... (as in: $0 /srv/ibctl/leads leads import)" >&2
  exit 2
fi
folder=$1
shift
if [[ ! -d $folder ]]; then
  echo "$folder is not a folder" >&2
  exit 2
fi
mkdir -p -- "$folder/done" "$folder/failed"
result=0

# Another run may have been faster at any moment; then there is nothing left to move, and nothing is wrong.
put_into() {
  mv -- "$file" "$folder/$1/$name" 2>/dev/null && return
  [[ ! -e $file ]] && return
  echo "cannot move $file into $folder/$1" >&2
  exit 1
}

while IFS= read -r -d '' file; do
  # Two files of one name, on two days, must not overwrite each other.
  name=$(date -u +%Y%m%dT%H%M%SZ)-$(basename -- "$file")
  log=$folder/failed/$name.log
  code=0
  ibctl "$@" "$file" --rejects "$folder/failed/$name.rejects.csv" --reason "drop folder" --yes >"$log" 2>&1 || code=$?
  if [[ ! -e $file ]]; then
    rm -f -- "$log" # another run was faster
    continue
  fi
  case $code in
    0)
      put_into done
      rm -f -- "$log"
      ;;
    6)
      put_into done
      ;;
    3)
      put_into failed
      ;;
    *)
      cat -- "$log" >&2
      rm -f -- "$log"
      exit "$code"
      ;;
  esac
  if (( code != 0 )); then
    result=$code
    echo "$(basename -- "$file"): see $log" >&2
    cat -- "$log" >&2
  fi
done < <(find "$folder" -maxdepth 1 -type f -mmin +1 \
  \( -name '*.csv' -o -name '*.csv.gz' -o -name '*.xlsx' -o -name '*.ndjson' -o -name '*.jsonl' \) -print0 | sort -z)

exit "$result"
