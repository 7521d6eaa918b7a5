// Containers for what thousands of meters would else have each for itself. Boxed is an optional,
// ShortQueue a queue, and both cost no more than pointers while they are empty, where std::optional
// takes the room of its value and std::deque half a kilobyte: for what few have at a time. Shared
// is a value that many have alike. Pure, any thread.
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

// A value that is copied without being doubled. Who changes one gets a copy of its own.
template <class Value>
class Shared {
  public:
    Shared() : value_(none()) {}
    Shared(Value value) : value_(std::make_shared<const Value>(std::move(value))) {}

    [[nodiscard]] const Value& operator*() const { return *value_; }
    [[nodiscard]] const Value* operator->() const { return value_.get(); }
    // To be written at once, before this is copied.
    [[nodiscard]] Value& change() {
        auto own = std::make_shared<Value>(*value_);
        value_ = own;
        return *own;
    }

  private:
    [[nodiscard]] static const std::shared_ptr<const Value>& none() {
        static const auto value = std::make_shared<const Value>();
        return value;
    }
    std::shared_ptr<const Value> value_;
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
