// The reading desk: what staff saw at a meter's face, and the meters that they hold. It judges
// nothing itself (core/validation) and books nothing itself (the meter book). Engine thread only.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// A reading by eye: confirmed and the new baseline, or held where it contradicts the books.
[[nodiscard]] Reply read_face(Context& context, const ReadFace& command);
// Why it would not be taken; nothing: it would be, confirmed or held, or was already. Changes
// nothing.
[[nodiscard]] std::optional<Reply> refuse_face(Context& context, const ReadFace& command);
// What would come of it: it would be confirmed at once, was taken already, or contradicts the books
// and would be held or refused, with the reason. Changes nothing.
struct FaceLook {
    enum class Fit { agrees, known, contradicts } fit = Fit::agrees;
    std::string reason;
};
[[nodiscard]] FaceLook look_at_face(Context& context, const ReadFace& command);
// The face agrees with a profile in conflict, which charges from then on.
[[nodiscard]] Reply confirm_face(Context& context, const ConfirmFace& command);
[[nodiscard]] Reply hold_meter(Context& context, const HoldMeter& command);

}  // namespace gatehouse
