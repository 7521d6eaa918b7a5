// The plain registers in the key room: hand-overs with what becomes of their figures and defects,
// and rows of documents, calls and rounds. What they say is read by http.
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "daemon/core/assert.hpp"
#include "daemon/engine/act_routes.hpp"
#include "daemon/engine/base_readings.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_desk.hpp"
#include "daemon/engine/key_room.hpp"
#include "daemon/engine/meter_acts.hpp"

namespace gatehouse {
namespace {

// With the tickets that came with it beside its row.
std::string register_json(const RegisterRow& row, const Context& context) {
    JsonWriter json;
    json.begin_object()
        .field("id", row.id)
        .field("kind", row.kind)
        .field("at", context.iso(row.at))
        .key("row")
        .raw(row.body);
    const boost::json::value body = boost::json::parse(row.body);
    if (const auto* tickets = body.as_object().if_contains("tickets"))
        json.key("tickets").raw(boost::json::serialize(*tickets));
    json.end_object();
    return json.take();
}

// The answer of a row whose number was kept under a key, as it stands now.
std::string same_answer(const Context& context, const WriteRegister& row, const std::string& id) {
    const auto rows =
        context.store.key_books().registers(row.kind, row.unit, std::stoll(id) - 1, 1);
    GH_ASSERT(!rows.empty());
    return register_json(rows.front(), context);
}

// What two people signed, without what the box made of it or who typed it.
boost::json::object signed_words(const std::string& body) {
    boost::system::error_code error;
    const boost::json::value parsed = boost::json::parse(body, error);
    if (error || !parsed.is_object()) return {};
    boost::json::object words = parsed.get_object();
    for (const char* name : {"tickets", "reconcile", "by", "second", "base_readings"})
        words.erase(name);
    auto* readings = words.if_contains("readings");
    if (readings != nullptr && readings->is_array())
        for (boost::json::value& one : readings->get_array())
            if (one.is_object()) one.get_object().erase("electronic");
    return words;
}

// A sheet is typed twice where it is asked again, or by two clerks: it is one hand-over.
std::optional<RegisterRow> same_handover(Context& context, const WriteRegister& row) {
    constexpr std::size_t kHandoversMost = 1'000;  // of one flat
    if (row.kind != "handover") return std::nullopt;
    const boost::json::object words = signed_words(row.body);
    const LocalDate today = context.day_of(context.now_ms());
    std::optional<RegisterRow> newest;
    for (RegisterRow& one :
         context.store.key_books().registers(row.kind, row.unit, 0, kHandoversMost))
        if (context.day_of(one.at) == today && signed_words(one.body) == words)
            newest = std::move(one);
    return newest;
}

// What the sheet did not know: that the books contradict it. A quote within its words is escaped.
void mark_doubted(std::string& sheet) {
    const std::string before = "\"reconcile\":false", after = "\"reconcile\":true";
    if (const auto at = sheet.find(before); at != std::string::npos)
        sheet.replace(at, before.size(), after);
}

// A sheet that names the register of a meter, or says that nobody read it, is in that meter's line.
void name_meters(const std::string& sheet, std::vector<std::string>& about) {
    boost::system::error_code error;
    const boost::json::value parsed = boost::json::parse(sheet, error);
    if (error || !parsed.is_object()) return;
    const auto* readings = parsed.get_object().if_contains("readings");
    if (readings == nullptr || !readings->is_array()) return;
    for (const boost::json::value& one : readings->get_array()) {
        const auto* object = one.if_object();
        const auto* meter = object == nullptr ? nullptr : object->if_contains("meter");
        if (meter != nullptr && meter->is_string())
            about.push_back("meter:" + std::string(meter->get_string()));
    }
}

// One member more behind those of an object; an empty one adds nothing.
std::string with_member(std::string object, const std::string& member) {
    if (member.empty()) return object;
    object.pop_back();
    return object + (object.size() > 1 ? "," : "") + member + "}";
}

}  // namespace

// As a member of the record; what is held is a task of its own.
std::string KeyRoom::book_faces(const WriteRegister& row, std::vector<std::string>& tickets) {
    if (row.faces.empty()) return "";
    const BaseReadings taken = take_base_readings(context_, row.faces);
    if (!taken.to_decide.empty()) {
        const Reply opened = open(task_of_registers(RegisterTask::decide, row, taken.to_decide,
                                                    context_.options.chinese));
        GH_ASSERT(opened.kind == ReplyKind::created);
        tickets.push_back(newest_opened_);
    }
    return "\"base_readings\":" + taken.json;
}

Reply KeyRoom::write(const WriteRegister& row) {
    if (row.idempotency_key.empty()) return write_once(row);
    const KeyedRequest request{act_route::kHandover, row.idempotency_key, row.body_hash};
    if (auto before = answered(context_, request)) {
        if (before->kind == ReplyKind::ok) before->json = same_answer(context_, row, before->json);
        return *std::move(before);
    }
    Reply reply = write_once(row);
    if (reply.kind != ReplyKind::created && reply.kind != ReplyKind::ok) return reply;
    // What people wrote stands in the row alone, where an erasure finds it.
    Reply kept = reply;
    kept.json = std::to_string(boost::json::parse(reply.json).at("id").as_int64());
    remember(context_, request, kept);
    return reply;
}

Reply KeyRoom::write_once(const WriteRegister& row) {
    Reply reply;
    if (!row.second.empty())
        check_two(context_, reply, row.by, row.second);
    else if (!row.by_itself)
        check_staff(context_, reply, "/by", row.by);
    if (row.once)
        if (const auto there = context_.store.key_books().register_row(row.kind, row.subject))
            return refusal(ReplyKind::conflict, "written-already",
                           row.subject + " was written down on " + context_.iso(there->at));
    if (!row.unit.empty() && !context_.world.units.contains(row.unit))
        reply.errors.push_back({"/unit", "no unit `" + row.unit + "` stands in units.csv"});
    if (is_refused(reply)) return reply;
    // One clerk's sheet that a second person signs later books what they saw, and no defect again.
    const auto there = same_handover(context_, row);
    if (there &&
        (row.faces.empty() || there->body.find("\"base_readings\":") != std::string::npos)) {
        reply.json = register_json(*there, context_);
        return reply;
    }
    if (auto refused = refuse_base_readings(context_, row.faces)) return *std::move(refused);
    std::vector<std::string> numbers;
    std::vector<OpenTicket> faults;
    if (!there && !row.doubts.empty())
        faults.push_back(
            task_of_registers(RegisterTask::reconcile, row, row.doubts, context_.options.chinese));
    if (!there) faults.insert(faults.end(), row.faults.begin(), row.faults.end());
    for (const OpenTicket& fault : faults) {
        const Reply opened = open(fault);
        if (opened.kind != ReplyKind::created && opened.kind != ReplyKind::ok) return opened;
        numbers.push_back(newest_opened_);
    }
    const std::string base = book_faces(row, numbers);
    JsonWriter subject;
    subject.begin_object().field_if("unit", row.unit).field_if("subject", row.subject);
    subject.end_object();
    std::vector<std::string> about;
    if (!row.unit.empty()) about.push_back("unit:" + row.unit);
    name_meters(row.body, about);
    RegisterRow kept;
    kept.kind = row.kind;
    kept.unit = row.unit;
    kept.subject = row.subject;
    kept.at = context_.now_ms();
    kept.body = with_member(row.body, base);
    if (!numbers.empty()) {
        JsonWriter tickets;
        tickets.begin_array();
        for (const std::string& number : numbers) tickets.value(number);
        tickets.end_array();
        kept.body.pop_back();
        kept.body += ",\"tickets\":" + tickets.take() + "}";
    }
    kept.event = log_event(context_, row.event, subject.take(),
                           with_member(row.log_body.empty() ? row.body : row.log_body, base),
                           std::move(about));
    kept.id = context_.store.key_books().add_register(kept);
    note_handover(kept);
    reply.kind = ReplyKind::created;
    reply.json = register_json(kept, context_);
    return reply;
}

Reply KeyRoom::record(const RoomWork* work, Reply moved) {
    // The same act asked again was written down with the first one.
    if (work == nullptr || moved.kind != ReplyKind::created) return moved;
    follow_books();
    WriteRegister row = std::get<WriteRegister>(work->what);
    row.faces.clear();  // the move took them
    const boost::json::object act = boost::json::parse(moved.json).as_object();
    if (const auto* base = act.if_contains("base_readings"))
        add_left_faces(row.doubts, boost::json::serialize(*base), context_.options.chinese);
    if (!row.doubts.empty())
        for (std::string* text : {&row.body, &row.log_body}) mark_doubted(*text);
    for (std::string* text : {&row.body, &row.log_body}) {
        if (text->empty()) continue;
        text->pop_back();
        for (const char* name : {"holder", "moved_at", "closed", "opened"})
            *text += std::string(",\"") + name + "\":" + boost::json::serialize(act.at(name));
        if (const auto* base = act.if_contains("base_readings"))
            *text += ",\"base_readings\":" + boost::json::serialize(*base);
        *text += "}";
    }
    const Reply written = write(row);
    GH_ASSERT(written.kind == ReplyKind::created);
    return moved;
}

}  // namespace gatehouse
