#!/bin/sh
# Fills in the recipes of this folder for a release: version, place and checksums of `make dist`.
#   make recipes URL=https://where/it/lies     into build/recipes/
set -eu
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^#define SPARP_VERSION_STRING "\(.*\)"/\1/p' sparp.h)
file=build/sparp-$version.tar.gz
rm -rf build/recipes
cp -R tools/packaging build/recipes
rm build/recipes/fill.sh
sha256=$({ sha256sum "$file" || shasum -a 256 "$file"; } 2>/dev/null | cut -d ' ' -f 1)
sha512=$({ sha512sum "$file" || shasum -a 512 "$file"; } 2>/dev/null | cut -d ' ' -f 1)
date=$(git log -1 --format=%aD 2>/dev/null) || date=$(date -u -R)
find build/recipes -type f | while read -r recipe; do
    sed -e "s|@VERSION@|$version|; s|@URL@|$URL|; s|@DATE@|$date|" \
        -e "s|@SHA256@|$sha256|; s|@SHA512@|$sha512|" "$recipe" >build/recipe.new
    cat build/recipe.new >"$recipe"
done
rm -f build/recipe.new
echo "build/recipes: for $URL/sparp-$version.tar.gz"
