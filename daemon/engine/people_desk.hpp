// The people desk: passwords that were hashed already, and household files: every look is a row of
// the log, and whoever does not belong to customer service asks the head first. Engine thread only.
#pragma once

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

}  // namespace gatehouse
