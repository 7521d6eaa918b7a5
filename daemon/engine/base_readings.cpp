#include "daemon/engine/base_readings.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "daemon/core/assert.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/reading_desk.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kDecideMax = 700;  // a ticket's text holds 1,000 bytes

// What is too much for a ticket stands in the quarantine.
void add_to(std::string& list, const std::string& one) {
    if (list.ends_with("...")) return;
    list += list.empty() ? "" : "; ";
    list += list.size() + one.size() > kDecideMax ? "..." : one;
}

}  // namespace

std::optional<Reply> refuse_base_readings(Context& context, const std::vector<ReadFace>& faces) {
    for (const ReadFace& face : faces) {
        auto refused = refuse_face(context, face);
        if (!refused) continue;
        // The sheet has a register for each meter, where the act of one has one alone.
        for (FieldError& error : refused->errors)
            if (error.pointer == "/register") error.pointer = "/readings/" + face.meter;
        if (!refused->errors.empty()) {
            const FieldError& first = refused->errors.front();
            refused->detail = first.pointer + " " + first.message;
        } else {
            refused->detail = "the meter " + face.meter + ": " + refused->detail;
        }
        return refused;
    }
    return std::nullopt;
}

BaseReadings take_base_readings(Context& context, const std::vector<ReadFace>& faces) {
    BaseReadings taken;
    JsonWriter json;
    json.begin_array();
    for (const ReadFace& face : faces) {
        const Reply reply = read_face(context, face);
        GH_ASSERT(reply.kind == ReplyKind::created || reply.kind == ReplyKind::ok);
        const boost::json::object said = boost::json::parse(reply.json).as_object();
        json.begin_object();
        for (const char* name : {"meter", "state", "register", "reading", "quarantine", "reason"})
            if (const auto* value = said.if_contains(name))
                json.key(name).raw(boost::json::serialize(*value));
        json.end_object();
        if (said.at("state") == "confirmed") continue;
        add_to(taken.to_decide,
               face.meter + " (" +
                   (said.contains("reason") ? std::string(said.at("reason").as_string()) : "held") +
                   ")");
    }
    json.end_array();
    taken.json = json.take();
    return taken;
}

}  // namespace gatehouse
