#include "daemon/store/reserve.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "daemon/core/space.hpp"
#include "daemon/store/rows.hpp"

namespace gatehouse::store {
namespace {

std::string folder_of(const std::string& path) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    return folder.empty() ? "." : folder;
}

}  // namespace

Reserve::Reserve(const std::string& database_path) : path_(database_path + ".reserve") {
    struct statvfs facts {};
    if (::statvfs(folder_of(path_).c_str(), &facts) != 0) {
        throw StoreError(
            StoreError::Kind::io,
            "the folder of " + database_path + " does not tell its size: " + std::strerror(errno));
    }
    bytes_ = reserve_bytes_for(static_cast<std::uint64_t>(facts.f_blocks) * facts.f_frsize);
    struct stat file {};
    // Blocks, not length: a copied file may be a hole.
    held_ = ::stat(path_.c_str(), &file) == 0 && file.st_size >= 0 &&
            static_cast<std::uint64_t>(file.st_blocks) * 512 >= bytes_;
    if (held_ && free_bytes() < bytes_ / 16) release();
}

std::uint64_t Reserve::free_bytes() const {
    struct statvfs facts {};
    if (::statvfs(folder_of(path_).c_str(), &facts) != 0) return 0;
    return static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize;
}

void Reserve::release() noexcept {
    held_ = false;
    // Truncating frees blocks even where a directory entry could not be changed.
    static_cast<void>(::truncate(path_.c_str(), 0) == 0);
}

bool Reserve::take() noexcept {
    const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    held_ = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes_)) == 0 && ::fsync(fd) == 0;
    ::close(fd);
    if (!held_) release();
    return held_;
}

}  // namespace gatehouse::store
