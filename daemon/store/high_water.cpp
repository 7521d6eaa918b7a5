#include "daemon/store/high_water.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "daemon/store/chain.hpp"

namespace gatehouse::store {
namespace {

// Two slots for the ceilings in pages of their own, written in turn, and one for the floors: a
// torn write spoils one of them.
constexpr std::int64_t kPage = 4096;
constexpr std::int64_t kFloorsAt = 2 * kPage;
constexpr std::size_t kSlotSize = 256, kIdSize = 40, kCheckSize = 16;
constexpr const char* kSlotMagic = "GHHIGH01";
constexpr const char* kFloorMagic = "GHFLOR01";

void put_number(std::string& bytes, std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) {
        bytes.push_back(static_cast<char>((value >> shift) & 0xff));
    }
}

std::uint64_t get_number(const std::string& bytes, std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
    }
    return value;
}

std::string sealed(std::string bytes) {
    bytes.resize(kSlotSize - kCheckSize, '\0');
    return bytes + sha256(bytes).substr(0, kCheckSize);
}

bool sound(const std::string& bytes, const char* magic) {
    return bytes.size() == kSlotSize && bytes.compare(0, 8, magic) == 0 &&
           sealed(bytes.substr(0, kSlotSize - kCheckSize)) == bytes;
}

std::string read_at(int fd, std::int64_t offset) {
    std::string bytes(kSlotSize, '\0');
    const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), offset);
    bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return bytes;
}

std::string id_field(const std::string& id) {
    std::string field = id.substr(0, kIdSize);
    field.resize(kIdSize, '\0');
    return field;
}

std::string id_of(const std::string& bytes, std::size_t at) {
    return std::string(bytes.substr(at, kIdSize).c_str());
}

[[noreturn]] void fail(const std::string& path, const char* act) {
    const int error = errno;
    const auto kind =
        error == ENOSPC || error == EDQUOT ? StoreError::Kind::full : StoreError::Kind::io;
    throw StoreError(kind, std::string("high-water file ") + path + ": cannot " + act + ": " +
                               std::strerror(error));
}

}  // namespace

// magic, generation, run, pending, ceilings: 8 + 8 + 40 + 40 + 80, then the check.
static_assert(16 + 2 * kIdSize + 8 * kSeriesCount <= kSlotSize - kCheckSize);

HighWater::HighWater(const std::string& path) : path_(path) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) fail(path_, "open");
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
        ::close(fd_);
        throw StoreError(StoreError::Kind::busy, "another gatehoused uses the database beside " +
                                                     path_ +
                                                     ": stop it, or name another path in [store]");
    }
    const bool fresh = ::lseek(fd_, 0, SEEK_END) == 0;
    for (const std::int64_t offset : {std::int64_t{0}, kPage}) {
        const std::string bytes = read_at(fd_, offset);
        if (!sound(bytes, kSlotMagic)) continue;
        const std::uint64_t generation = get_number(bytes, 8);
        if (found_ && generation <= generation_) continue;
        generation_ = generation;
        found_ = Found{};
        found_->run = id_of(bytes, 16);
        found_->pending = id_of(bytes, 16 + kIdSize);
        for (std::size_t i = 0; i < kSeriesCount; ++i) {
            found_->ceilings[i] = get_number(bytes, 16 + 2 * kIdSize + 8 * i);
        }
    }
    damaged_ = !fresh && !found_;
    if (!found_) return;
    ceilings_ = found_->ceilings;
    const std::string bytes = read_at(fd_, kFloorsAt);
    if (!sound(bytes, kFloorMagic)) return;
    for (std::size_t i = 0; i < kSeriesCount; ++i) {
        found_->floors[i] = get_number(bytes, 8 + 8 * i);
    }
}

HighWater::~HighWater() {
    if (fd_ >= 0) ::close(fd_);
}

void HighWater::write_at(std::int64_t offset, const std::string& bytes) {
    if (::pwrite(fd_, bytes.data(), bytes.size(), offset) != static_cast<ssize_t>(bytes.size())) {
        fail(path_, "write");
    }
}

void HighWater::write_slot() {
    ++generation_;
    std::string bytes = kSlotMagic;
    put_number(bytes, generation_);
    bytes += id_field(run_);
    bytes += id_field(pending_);
    for (const std::uint64_t ceiling : ceilings_) put_number(bytes, ceiling);
    write_at(generation_ % 2 == 0 ? 0 : kPage, sealed(std::move(bytes)));
    if (::fdatasync(fd_) != 0) fail(path_, "sync");
}

void HighWater::start(const std::string& run, const std::string& pending, const Numbers& ceilings) {
    run_ = run;
    pending_ = pending;
    ceilings_ = ceilings;
    write_slot();
}

void HighWater::raise(Series series, std::uint64_t ceiling) {
    const std::uint64_t before = ceilings_[static_cast<std::size_t>(series)];
    ceilings_[static_cast<std::size_t>(series)] = ceiling;
    try {
        write_slot();
    } catch (...) {
        ceilings_[static_cast<std::size_t>(series)] = before;
        throw;
    }
}

void HighWater::floors(const Numbers& numbers) {
    std::string bytes = kFloorMagic;
    for (const std::uint64_t number : numbers) put_number(bytes, number);
    const std::string slot = sealed(std::move(bytes));
    // The commit already stands; a floor that could not be written only blunts a later check.
    static_cast<void>(::pwrite(fd_, slot.data(), slot.size(), kFloorsAt) == 0);
}

}  // namespace gatehouse::store
