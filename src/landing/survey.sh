# Lists what is in the workspace for landing: the paths git would track and those of the checkout, with type, size and mode. What
# the sandbox's own repository and settings say does not count. A path that is missing here is deleted where the work lands, so a list
# that is not whole is no list: every step is checked, and the last record says how many there are.
d=/tmp/.threadbox-landing
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_NOSYSTEM=1 HOME=/tmp LC_ALL=C
rm -rf "$d/git" "$d/names" "$d/sorted" "$d/stats" "$d/errors"
if command -v git >/dev/null 2>&1 && git init -q --bare "$d/git"; then
  git --git-dir="$d/git" config core.bare false
  git --git-dir="$d/git" --work-tree=. ls-files -z -o --exclude-standard >"$d/names" || exit 3
  echo git
else
  find . -name .git -prune -o \( -type f -o -type l \) -print0 >"$d/sorted"
  # One says that a directory could not be read.
  [ $? -le 1 ] || exit 3
  sed -z 's|^\./||' <"$d/sorted" >"$d/names" || exit 3
  echo no-git
fi
cat "$d/known" >>"$d/names" || exit 3
sort -zu "$d/names" >"$d/sorted" || exit 3
xargs -0 -r stat --printf='%f %s %n\0' -- <"$d/sorted" >"$d/stats" 2>"$d/errors"
# 123 says that some are not there.
case $? in 0 | 123) ;; *) exit 3 ;; esac
if grep -v -e ': No such file or directory$' -e ': Not a directory$' -e ': Too many levels of symbolic links$' "$d/errors" >&2; then
  exit 3
fi
count() { tr -dc '\0' <"$1" | wc -c; }
asked=$(count "$d/sorted") && found=$(count "$d/stats") && missing=$(wc -l <"$d/errors") || exit 3
[ "$asked" -eq "$((found + missing))" ] || exit 3
printf 'end %s\0' "$found" >>"$d/stats" || exit 3
echo listed
