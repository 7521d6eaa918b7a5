// The record of a move as a body has it: for the route of the record alone, and for a change of
// occupant that brings one. One thread a call.
#pragma once

#include "daemon/engine/key_room.hpp"
#include "daemon/http/body.hpp"
#include "daemon/http/routes.hpp"

namespace gatehouse::http {

// Whether the body has any part of such a record.
[[nodiscard]] bool has_handover(const Body& body);
// Base readings, keys as counts, a checklist, who was there. `direction` is in or out. What has to
// be looked at comes with it as tickets: registers to be reconciled as one, each defect as its own.
// `whole`: the readings are all that is known of the meters, so that one left out is not read.
// `signed_by`: who saw it; with a second person the figures of dials that no electronics confirm
// become readings of `at`, with the record.
[[nodiscard]] WriteRegister read_handover(const Call& call, Body& body, const Signed& signed_by,
                                          const std::string& direction, const std::string& at,
                                          bool whole);

}  // namespace gatehouse::http
