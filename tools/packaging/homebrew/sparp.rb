class Sparp < Formula
  desc "Send many HTTP requests, a bounded number at a time"
  homepage "@URL@"
  url "@URL@/sparp-@VERSION@.tar.gz"
  sha256 "@SHA256@"
  license "MIT"

  depends_on "bearssl"
  uses_from_macos "zlib"

  def install
    ENV["BEARSSL_INCLUDE"] = Formula["bearssl"].opt_include
    system "make", "install", "PREFIX=#{prefix}"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/sparp --version")
  end
end
