// What the rooms that deal with meters share: finding one, saying what happened to it, and the
// checks of what staff typed. Engine thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/world.hpp"

namespace gatehouse {

// The meter is shown anew.
void touch_meter(Context& context, std::size_t meter);

// A row of the log about a meter. `more` may add fields to the body.
std::uint64_t log_meter(Context& context, const MeterRuntime& meter, const std::string& kind,
                        const std::string& reason,
                        const std::function<void(JsonWriter&)>& more = nullptr);

// Each adds an error to the reply where the field is wrong.
void check_staff(const Context& context, Reply& reply, const char* pointer,
                 const std::string& staff);
// Two different people of the staff.
void check_two(const Context& context, Reply& reply, const std::string& by,
               const std::string& second);
void check_reason(Reply& reply, const std::string& reason);

// A face as people type it: a decimal that is not negative, with its tolerance.
struct TypedFace {
    Rational face;
    Rational tolerance;
};
[[nodiscard]] std::optional<TypedFace> check_face(Reply& reply, const char* pointer,
                                                  const std::string& text,
                                                  const MeterRuntime& meter);

// When something was read by people: as typed, else now.
struct TypedTime {
    std::optional<UtcMs> typed;
    SampleTime time;
};
[[nodiscard]] TypedTime check_time(const Context& context, Reply& reply, const std::string& text);
// People write whole minutes, or seconds, while a meter is polled on: what it answered so soon
// after the moment that they wrote is still before what they did.
inline constexpr std::int64_t kTypedMs = 60'000;
// Such a moment becomes the one right after the meter's last confirmed reading.
void follow_last(const Context& context, const MeterRuntime& meter, TypedTime& at);
// The same moment, or one before: to change what lies there is a correction.
[[nodiscard]] bool is_too_early(const Context& context, const MeterRuntime& meter,
                                const TypedTime& at);

// Whether errors were found; the reply is then a refusal of 422.
[[nodiscard]] bool is_refused(Reply& reply);
// A refusal of 422 for one field alone, of a type of its own.
[[nodiscard]] Reply wrong_field(const char* pointer, const char* type, std::string message);
[[nodiscard]] Reply no_such_meter(const std::string& meter);

// The account that pays, with its figures after the act.
void account_fields(JsonWriter& json, const Context& context, const MeterRuntime& meter);

}  // namespace gatehouse
