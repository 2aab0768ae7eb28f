# pkgs.callPackage ./package.nix { }
{ lib, stdenv, fetchurl, bearssl, zlib }:

stdenv.mkDerivation rec {
  pname = "sparp";
  version = "@VERSION@";
  src = fetchurl {
    url = "@URL@/sparp-${version}.tar.gz";
    sha256 = "@SHA256@";
  };
  buildInputs = [ bearssl zlib ];
  makeFlags = [ "PREFIX=$(out)" "CC=${stdenv.cc.targetPrefix}cc" ];
  meta = {
    description = "Send many HTTP requests, a bounded number at a time";
    homepage = "@URL@";
    license = lib.licenses.mit;
    platforms = lib.platforms.unix;
    mainProgram = "sparp";
  };
}
