// A thin layer over SQLiteCpp for the files of this folder: one connection with its cached
// statements, and errors turned into StoreError. Private to the store. One thread at a time.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/store/rows.hpp"

namespace gatehouse::sql {

using Bytes = std::string;  // a blob

[[noreturn]] void raise(const SQLite::Exception& error, const std::string& path);

class Connection {
  public:
    // still: reads, and where nobody else has it open leaves no file beside it.
    enum class Mode { write, read, still };
    Connection(const std::string& path, Mode mode);

    void exec(const char* sql);
    void exec(const std::string& sql) { exec(sql.c_str()); }
    // The statement of a literal; its address is the key, so pass literals alone.
    [[nodiscard]] SQLite::Statement& cached(const char* literal);
    [[nodiscard]] std::unique_ptr<SQLite::Statement> prepare(const std::string& sql);
    // Drops the cached statements: before the schema changes under them.
    void forget_statements() { statements_.clear(); }
    [[nodiscard]] bool in_transaction() const;
    void rollback() noexcept;
    [[nodiscard]] std::int64_t last_rowid() const;
    [[nodiscard]] int changes() const;
    void release_memory() noexcept;  // gives its cached pages back
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
    SQLite::Database database_;
    std::unordered_map<const char*, std::unique_ptr<SQLite::Statement>> statements_;
};

// One use of a statement: bind in order, step, read columns in order. Resets itself at the end.
// The same literal must not be in use twice at once.
class Query {
  public:
    Query(Connection& connection, const char* literal);
    Query(Connection& connection, std::unique_ptr<SQLite::Statement> own);
    ~Query();
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;

    Query& operator<<(std::int64_t value);
    Query& operator<<(int value) { return *this << static_cast<std::int64_t>(value); }
    Query& operator<<(std::uint64_t value) { return *this << static_cast<std::int64_t>(value); }
    Query& operator<<(bool value) { return *this << static_cast<std::int64_t>(value ? 1 : 0); }
    Query& operator<<(std::string_view text);
    Query& operator<<(const std::string& text) { return *this << std::string_view{text}; }
    Query& operator<<(const char* text) { return *this << std::string_view{text}; }
    Query& operator<<(std::nullopt_t);
    template <class T>
    Query& operator<<(const std::optional<T>& value) {
        return value ? *this << *value : *this << std::nullopt;
    }
    Query& blob(std::string_view bytes);
    Query& text_or_null(std::string_view text) {
        return text.empty() ? *this << std::nullopt : *this << text;
    }

    [[nodiscard]] bool step();  // true: a row
    void run();                 // to the end, rows dropped

    [[nodiscard]] std::int64_t i64();
    [[nodiscard]] std::uint64_t u64() { return static_cast<std::uint64_t>(i64()); }
    [[nodiscard]] int i32() { return static_cast<int>(i64()); }
    [[nodiscard]] bool flag() { return i64() != 0; }
    [[nodiscard]] std::string text();
    [[nodiscard]] Bytes bytes();
    [[nodiscard]] std::optional<std::int64_t> maybe_i64();
    [[nodiscard]] std::optional<std::string> maybe_text();

  private:
    std::unique_ptr<SQLite::Statement> own_;
    Connection& connection_;
    SQLite::Statement& statement_;
    int bound_ = 0;
    int column_ = 0;
};

// One number of one row; nothing where there is no row or it is NULL.
[[nodiscard]] std::optional<std::int64_t> number(Connection& connection, const char* literal);

}  // namespace gatehouse::sql
