import os

from conan import ConanFile
from conan.tools.files import copy, get


class SparpConan(ConanFile):
    name = "sparp"
    version = "@VERSION@"
    description = "Many HTTP requests, a bounded number at a time; a single-file C library"
    homepage = url = "@URL@"
    license = "MIT"
    package_type = "header-library"
    no_copy_source = True

    def source(self):
        get(self, "@URL@/sparp-@VERSION@.tar.gz", sha256="@SHA256@", strip_root=True)

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "sparp.h", self.source_folder, os.path.join(self.package_folder, "include"))

    # Conan has no BearSSL: without one of yours, SPARP_NO_TLS.
    def package_info(self):
        self.cpp_info.bindirs = self.cpp_info.libdirs = []
        self.cpp_info.system_libs = ["pthread"]

    def package_id(self):
        self.info.clear()
