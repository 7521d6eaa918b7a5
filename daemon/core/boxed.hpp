// Containers for what few of thousands of meters have at a time: Boxed is an optional, ShortQueue a
// queue, and both cost no more than pointers while they are empty, where std::optional takes the
// room of its value and std::deque half a kilobyte. Not for what is nearly always there. Pure, any
// thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/core/assert.hpp"

namespace gatehouse {

// Copies its value with itself. Reading an empty one is refused by an assertion.
template <class Value>
class Boxed {
  public:
    Boxed() = default;
    Boxed(Value value) : value_(std::make_unique<Value>(std::move(value))) {}
    Boxed(std::optional<Value> value) {
        if (value) value_ = std::make_unique<Value>(std::move(*value));
    }
    Boxed(const Boxed& other)
        : value_(other.value_ ? std::make_unique<Value>(*other.value_) : nullptr) {}
    Boxed(Boxed&&) noexcept = default;
    Boxed& operator=(const Boxed& other) {
        if (this != &other) *this = Boxed(other);
        return *this;
    }
    Boxed& operator=(Boxed&&) noexcept = default;
    ~Boxed() = default;

    [[nodiscard]] bool has_value() const { return value_ != nullptr; }
    explicit operator bool() const { return has_value(); }
    void reset() { value_.reset(); }
    [[nodiscard]] Value& operator*() {
        GH_ASSERT(value_ != nullptr);
        return *value_;
    }
    [[nodiscard]] const Value& operator*() const {
        GH_ASSERT(value_ != nullptr);
        return *value_;
    }
    [[nodiscard]] Value* operator->() { return &**this; }
    [[nodiscard]] const Value* operator->() const { return &**this; }
    [[nodiscard]] Value value_or(Value other) const { return value_ ? *value_ : std::move(other); }

  private:
    std::unique_ptr<Value> value_;
};

// First in, first out, of a handful: taking the front moves the others up.
template <class Value>
class ShortQueue {
  public:
    [[nodiscard]] bool empty() const { return values_.empty(); }
    [[nodiscard]] std::size_t size() const { return values_.size(); }
    [[nodiscard]] Value& front() {
        GH_ASSERT(!values_.empty());
        return values_.front();
    }
    [[nodiscard]] const Value& front() const {
        GH_ASSERT(!values_.empty());
        return values_.front();
    }
    void push_back(Value value) { values_.push_back(std::move(value)); }
    // The last one gives the room back.
    void pop_front() {
        GH_ASSERT(!values_.empty());
        values_.erase(values_.begin());
        if (values_.empty()) values_ = {};
    }
    [[nodiscard]] auto begin() { return values_.begin(); }
    [[nodiscard]] auto end() { return values_.end(); }
    [[nodiscard]] auto begin() const { return values_.begin(); }
    [[nodiscard]] auto end() const { return values_.end(); }

  private:
    std::vector<Value> values_;
};

}  // namespace gatehouse
