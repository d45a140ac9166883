# shellcheck shell=bash
# build.sh owns how a build folder is configured and brought up to date.  Sourced by the other scripts.

# build_folder LOG FOLDER COMPILER [meson options...] [-- ninja targets...]: configures once, compiles
# what has changed; silent but for LOG when all goes well, else 1.
build_folder ()
{
  local log=$1 folder=$2 compiler=$3 options=()

  shift 3
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  [ $# -eq 0 ] || shift
  if [ ! -f "$folder/build.ninja" ]; then
    CC=$compiler meson setup "$folder" "${options[@]}" >"$log" 2>&1 || return 1
  fi
  ninja -C "$folder" "$@" >>"$log" 2>&1
}
