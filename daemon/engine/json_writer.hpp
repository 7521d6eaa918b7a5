// Writes JSON text in the order in which it is told, so that a document reads as the contract
// shows it and decimals never pass through a floating-point number. It checks nothing but that
// commas stand where they belong; parsing is Boost.JSON's work. One thread an object.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace gatehouse {

class JsonWriter {
  public:
    JsonWriter& begin_object();
    JsonWriter& end_object();
    JsonWriter& begin_array();
    JsonWriter& end_array();
    JsonWriter& key(std::string_view name);

    JsonWriter& value(std::string_view text);
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
    template <std::same_as<bool> Bool>
    JsonWriter& value(Bool truth) {
        return raw(truth ? "true" : "false");
    }
    template <std::integral Integer>
    requires(!std::same_as<Integer, bool>) JsonWriter& value(Integer number) {
        return raw(std::to_string(number));
    }
    template <class T>
    JsonWriter& value(const std::optional<T>& maybe) {
        return maybe ? value(*maybe) : null();
    }
    JsonWriter& null() { return raw("null"); }
    // Text that is JSON already, such as the body of an event.
    JsonWriter& raw(std::string_view json);

    template <class T>
    JsonWriter& field(std::string_view name, const T& what) {
        return key(name).value(what);
    }
    // Leaves the member out where there is nothing to say.
    JsonWriter& field_if(std::string_view name, std::string_view text) {
        return text.empty() ? *this : key(name).value(text);
    }
    template <class T>
    JsonWriter& field_if(std::string_view name, const std::optional<T>& maybe) {
        return maybe ? key(name).value(*maybe) : *this;
    }

    [[nodiscard]] std::string take() { return std::move(text_); }
    [[nodiscard]] std::size_t size() const { return text_.size(); }

  private:
    void separate();

    std::string text_;
    bool first_ = true;  // no comma before the next value
};

// Appends `text` as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);

}  // namespace gatehouse
