# Lists what is in the workspace for landing: the paths git would track and those of the checkout, with type, size and mode. What
# the sandbox's own repository and settings say does not count.
d=/tmp/.threadbox-landing
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_NOSYSTEM=1 HOME=/tmp LC_ALL=C
rm -rf "$d/git" "$d/names" "$d/stats"
if command -v git >/dev/null 2>&1 && git init -q --bare "$d/git"; then
  git --git-dir="$d/git" config core.bare false
  git --git-dir="$d/git" --work-tree=. ls-files -z -o --exclude-standard >"$d/names" || exit 3
  echo git
else
  find . -name .git -prune -o \( -type f -o -type l \) -print0 | sed -z 's|^\./||' >"$d/names" || exit 3
  echo no-git
fi
cat "$d/known" >>"$d/names"
sort -zu "$d/names" | xargs -0 -r stat --printf='%f %s %n\0' -- 2>/dev/null >"$d/stats"
[ -e "$d/stats" ] && echo listed
