// The reserve: a file of allocated blocks beside the database. Given up when the disk is full, so
// that the books, the alerts and the checkpoint of the write-ahead log still fit; taken again once
// there is space. Private to the store; engine thread only.
#pragma once

#include <cstdint>
#include <string>

namespace gatehouse::store {

class Reserve {
  public:
    // Looks at what is there and allocates nothing yet. On a full disk it is given up at once:
    // opening the database takes some blocks already. Throws StoreError where the file system does
    // not say how large it is.
    explicit Reserve(const std::string& database_path);

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  // full size
    [[nodiscard]] bool held() const { return held_; }
    // What a process without privilege may still write there.
    [[nodiscard]] std::uint64_t free_bytes() const;
    // Gives every block back.
    void release() noexcept;
    // Allocates it whole. False: it does not fit, and nothing of it is left.
    [[nodiscard]] bool take() noexcept;

  private:
    std::string path_;
    std::uint64_t bytes_ = 0;
    bool held_ = false;
};

}  // namespace gatehouse::store
