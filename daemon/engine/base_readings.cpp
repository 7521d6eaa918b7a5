#include "daemon/engine/base_readings.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
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

constexpr std::size_t kDoubtsMax = 700;  // a ticket's text holds 1,000 bytes

// What is too much for a ticket stands in the record, and in the quarantine.
void add_to(std::string& list, const std::string& one) {
    if (list.ends_with("...")) return;
    list += list.empty() ? "" : "; ";
    list += list.size() + one.size() > kDoubtsMax ? "..." : one;
}

constexpr const char* kApart = "apart";

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

BaseReadings take_base_readings(Context& context, const std::vector<ReadFace>& faces,
                                const std::vector<LeftFace>& left) {
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
        taken.to_decide.push_back(
            {face.meter, "",
             said.contains("reason") ? std::string(said.at("reason").as_string()) : "held"});
    }
    for (const LeftFace& one : left)
        json.begin_object()
            .field("meter", one.meter)
            .field("state", kApart)
            .field("register", one.register_value)
            .field("reason", one.reason)
            .end_object();
    json.end_array();
    taken.json = json.take();
    return taken;
}

void add_left_faces(std::vector<RegisterDoubt>& doubts, const std::string& base_readings,
                    bool chinese) {
    const boost::json::value list = boost::json::parse(base_readings);
    for (const boost::json::value& item : list.as_array()) {
        const boost::json::object& one = item.as_object();
        if (one.at("state") != kApart) continue;
        const std::string meter(one.at("meter").as_string());
        const RegisterDoubt doubt{meter, std::string(one.at("register").as_string()),
                                  chinese ? "与账面不符，未入账" : "contradicts the books"};
        // That its electronics are silent is no news beside that.
        const auto known = std::find_if(doubts.begin(), doubts.end(),
                                        [&](const auto& other) { return other.meter == meter; });
        if (known == doubts.end())
            doubts.push_back(doubt);
        else
            *known = doubt;
    }
}

OpenTicket task_of_registers(RegisterTask what, const WriteRegister& row,
                             const std::vector<RegisterDoubt>& doubts, bool chinese) {
    const bool decide = what == RegisterTask::decide;
    std::string all;
    for (const RegisterDoubt& one : doubts)
        add_to(all,
               one.meter + (one.figure.empty() ? "" : " " + one.figure) + " (" + one.why + ")");
    OpenTicket task;
    task.kind = "inspection";
    task.unit = row.unit;
    task.category = "其他";
    task.channel = "patrol";
    task.by = row.by;
    task.text =
        decide ? (chinese ? "移交表底待核实: " : "Registers of a hand-over that staff decide: ")
               : (chinese ? "移交表底待电子核对: " : "Registers of a hand-over to be reconciled: ");
    task.text += all;
    return task;
}

}  // namespace gatehouse
