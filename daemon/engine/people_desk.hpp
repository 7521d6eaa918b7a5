// The people desk: passwords that were hashed already, and household files: every look is a row of
// the log, and whoever does not belong to customer service asks the head first. Engine thread only.
#pragma once

#include "daemon/engine/erasure_desk.hpp"
#include "daemon/engine/world.hpp"

namespace gatehouse {

[[nodiscard]] Reply set_password(Context& context, const SetPassword& command);

// Answered once the row stands on disk; only then is the file shown.
[[nodiscard]] Reply note_view(Context& context, const NoteView& command);

// For an hour up to three days; at most so many wait for an answer a person.
inline constexpr int kAccessHoursMax = 72;
inline constexpr std::int64_t kAccessAskedMax = 20;
[[nodiscard]] Reply ask_access(Context& context, const AskAccess& command);
// Nobody answers what he asked for himself.
[[nodiscard]] Reply answer_access(Context& context, const AnswerAccess& command);

// Why these staff cannot be written down as having left, for an import; empty: they can.
[[nodiscard]] std::string leaver_fault(Context& context, const Staff& staff);

// Each command that is about people, by its type.
[[nodiscard]] inline Reply serve_people(Context& context, const SetPassword& command) {
    return set_password(context, command);
}
[[nodiscard]] inline Reply serve_people(Context& context, const NoteView& command) {
    return note_view(context, command);
}
[[nodiscard]] inline Reply serve_people(Context& context, const AskAccess& command) {
    return ask_access(context, command);
}
[[nodiscard]] inline Reply serve_people(Context& context, const AnswerAccess& command) {
    return answer_access(context, command);
}

}  // namespace gatehouse
