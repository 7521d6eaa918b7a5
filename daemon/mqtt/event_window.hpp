// The window over the event log: which rows were handed over, which are acknowledged, and so where
// the durable cursor stands: at the last row before the first that is not acknowledged. Pure; the
// publishing thread's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

namespace gatehouse::mqtt {

class EventWindow {
  public:
    explicit EventWindow(std::uint64_t cursor) : cursor_(cursor), last_(cursor) {}

    // The next row in order, with the number of messages that it publishes (0: it only moves the
    // cursor).
    void add(std::uint64_t seq, int messages);
    // One message of the row was acknowledged. Unknown rows are ignored: a late word of a
    // connection that is gone.
    void acknowledged(std::uint64_t seq);
    // The connection is gone: rows not acknowledged count as never handed over.
    void forget();

    [[nodiscard]] std::uint64_t cursor() const { return cursor_; }
    [[nodiscard]] std::uint64_t last() const { return last_; }  // read on after this row
    [[nodiscard]] std::size_t rows() const { return rows_.size(); }

  private:
    struct Row {
        std::uint64_t seq;
        int open;
    };
    void settle();

    std::deque<Row> rows_;
    std::uint64_t cursor_;
    std::uint64_t last_;
};

}  // namespace gatehouse::mqtt
