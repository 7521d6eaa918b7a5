// A second hand on a database file that obeys no rule of the store's: triggers alone stop it.
#pragma once

#include <sqlite3.h>

#include <stdexcept>
#include <string>

namespace gatehouse::testing {

// The file as any other program sees it; triggers are the only thing that can stop it.
class OtherHand {
  public:
    explicit OtherHand(const std::string& path) {
        if (sqlite3_open_v2(path.c_str(), &database_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                            nullptr) != SQLITE_OK) {
            throw std::runtime_error("open");
        }
    }
    ~OtherHand() { sqlite3_close(database_); }
    OtherHand(const OtherHand&) = delete;
    OtherHand& operator=(const OtherHand&) = delete;
    // Empty: done; else what SQLite said.
    std::string run(const std::string& sql) {
        char* message = nullptr;
        if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, &message) == SQLITE_OK) {
            return {};
        }
        std::string text = message ? message : "?";
        sqlite3_free(message);
        return text;
    }

  private:
    sqlite3* database_ = nullptr;
};

}  // namespace gatehouse::testing
