#include "daemon/mqtt/event_window.hpp"

#include <algorithm>

#include "daemon/core/assert.hpp"

namespace gatehouse::mqtt {

void EventWindow::add(std::uint64_t seq, int messages) {
    GH_ASSERT(seq > last_ && messages >= 0);
    rows_.push_back({seq, messages});
    last_ = seq;
    settle();
}

void EventWindow::acknowledged(std::uint64_t seq) {
    const auto row = std::lower_bound(rows_.begin(), rows_.end(), seq,
                                      [](const Row& a, std::uint64_t b) { return a.seq < b; });
    if (row == rows_.end() || row->seq != seq || row->open == 0) return;
    --row->open;
    settle();
}

void EventWindow::forget() {
    rows_.clear();
    last_ = cursor_;
}

void EventWindow::settle() {
    while (!rows_.empty() && rows_.front().open == 0) {
        cursor_ = rows_.front().seq;
        rows_.pop_front();
    }
}

}  // namespace gatehouse::mqtt
