// The household's file and who may open it (the manual's rule: customer service alone, others by
// the head's leave): names and phones are masked until they are revealed with a reason, and every
// look is a row of the log before it is answered.
#include "daemon/http/household.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/text.hpp"
#include "daemon/engine/documents.hpp"
#include "daemon/engine/key_codec.hpp"
#include "daemon/engine/key_documents.hpp"
#include "daemon/engine/row_documents.hpp"
#include "daemon/http/act.hpp"
#include "daemon/http/page.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/roles.hpp"

namespace gatehouse::http {

namespace {

constexpr std::size_t kFileEntries = 100;  // newest of each account
constexpr std::size_t kFileViews = 20;

// 138****5678; what is shorter says nothing.
std::string masked_phone(const std::string& phone) {
    if (phone.empty()) return "";
    if (phone.size() < 8) return "****";
    return phone.substr(0, 3) + "****" + phone.substr(phone.size() - 4);
}

const std::vector<StaffRole>* roles_of(const Call& call) {
    for (const Staff& staff : call.snapshot->registry->staff)
        if (staff.staff == call.person) return &staff.roles;
    return nullptr;
}

void view_json(JsonWriter& json, const ViewRow& view, const Zone& zone) {
    json.begin_object()
        .field("id", view.id)
        .field("who", view.actor)
        .field("what", view.what)
        .field("reason", view.reason)
        .field("at", format_iso8601(view.at, zone))
        .end_object();
}

void views_of(JsonWriter& json, Call& call, const std::string& unit) {
    std::vector<ViewRow> newest;
    std::int64_t after = 0;
    auto reader = call.app.readers.take();
    for (;;) {
        std::vector<ViewRow> page = reader->views(unit, after, kLimitMax);
        if (page.empty()) break;
        after = page.back().id;
        const bool more = page.size() == kLimitMax;
        for (ViewRow& view : page) newest.push_back(std::move(view));
        if (newest.size() > kFileViews)
            newest.erase(newest.begin(), newest.end() - static_cast<std::ptrdiff_t>(kFileViews));
        if (!more) break;
    }
    json.key("views").begin_array();
    for (const ViewRow& view : newest) view_json(json, view, call.app.zone);
    json.end_array();
}

bool holds_account(const Registry& registry, const std::string& person, const std::string& unit) {
    return std::any_of(
        registry.accounts.begin(), registry.accounts.end(), [&](const Account& account) {
            return account.unit == unit && account.closed.empty() && account.holder == person;
        });
}

void people_of(JsonWriter& json, const Registry& registry, const std::string& unit, bool revealed) {
    json.key("holders").begin_array();
    for (const Person& person : registry.people) {
        // Who holds an account of the flat belongs to it, wherever people.csv has them.
        if (person.unit != unit && !holds_account(registry, person.person, unit)) continue;
        json.begin_object()
            .field("person", person.person)
            .field("kind", to_string(person.kind))
            .field("name", revealed ? person.name : masked_name(person.name))
            .field_if("phone", revealed ? person.phone : masked_phone(person.phone))
            .field_if("company", person.company);
        if (person.valid_from) json.field("valid_from", format_date(*person.valid_from));
        if (person.valid_to) json.field("valid_to", format_date(*person.valid_to));
        json.end_object();
    }
    json.end_array();
}

void keys_of(JsonWriter& json, Call& call, const std::string& unit) {
    const KeyBoard* board = call.snapshot->keys.get();
    json.key("keys").begin_array();
    for (const Key& key : call.snapshot->registry->keys) {
        if (std::find(key.opens.begin(), key.opens.end(), unit) == key.opens.end()) continue;
        KeyView view;
        view.key = key.key;
        view.cabinet = key.cabinet;
        view.slot = key.slot;
        if (board != nullptr)
            for (const KeyView& one : board->keys)
                if (one.key == key.key) view = one;
        json.raw(key_json(view, key, call.app.zone));
    }
    json.end_array();
}

// The newest tickets of the unit, newest last.
void tickets_of(JsonWriter& json, Call& call, const std::string& unit, const std::string& label) {
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    KeyBooks::TicketFilter filter;
    filter.unit = unit;
    std::vector<TicketRow> newest;
    for (;;) {
        auto page = books.tickets(filter, kLimitMax);
        const bool more = page.size() == kLimitMax;
        if (more) filter.after = page.back().number;
        for (TicketRow& row : page) newest.push_back(std::move(row));
        if (newest.size() > kFileEntries)
            newest.erase(newest.begin(), newest.end() - static_cast<std::ptrdiff_t>(kFileEntries));
        if (!more) break;
    }
    json.key("tickets").begin_array();
    for (const TicketRow& row : newest)
        json.raw(
            ticket_json(ticket_of(row), label, call.app.options.currency, nullptr, call.app.zone));
    json.end_array();
}

// The newest entries of an account: the ledger is asked from the front, so pages are walked.
void ledger_of(JsonWriter& json, Call& call, const std::vector<std::string>& accounts) {
    json.key("ledger").begin_array();
    auto reader = call.app.readers.take();
    for (const std::string& account : accounts) {
        std::vector<StoredEntry> newest;
        std::uint64_t after = 0;
        for (bool more = true; more;) {
            EntryPage page = reader->ledger(account, after, kLimitMax);
            more = page.has_more;
            after = page.next;
            for (StoredEntry& entry : page.items) newest.push_back(std::move(entry));
            if (newest.size() > kFileEntries) {
                newest.erase(newest.begin(),
                             newest.end() - static_cast<std::ptrdiff_t>(kFileEntries));
            }
        }
        for (const StoredEntry& entry : newest) json.raw(entry_json(entry, call.app.zone));
    }
    json.end_array();
}

// What the household is given: who looked, when, at what and why. Nobody of its own stands on it.
Response views_page(Call& call, const std::vector<ViewRow>& views) {
    Page page(
        call.app.options.chinese, call.app.options.site_name,
        call.app.options.chinese ? "住户档案查阅记录" : "Who looked into the household's file");
    const Zone& zone = call.app.zone;
    page.facts({{{"Flat", "房号"}, call.params[0]},
                {{"Made by", "出具人"}, call.actor},
                {{"Made at", "出具时间"}, format_iso8601(call.snapshot->now_ms, zone)}});
    std::vector<std::vector<std::string>> rows;
    for (const ViewRow& view : views) {
        const bool staff = view.actor.starts_with("staff:");
        std::string who = staff ? view.actor.substr(6) : view.actor;
        for (const Staff& one : call.snapshot->registry->staff)
            if (staff && one.staff == who) who += " " + one.name;
        rows.push_back({format_iso8601(view.at, zone), who, view.what, view.reason});
    }
    page.table({{{"At", "时间"}}, {{"Who", "查阅人"}}, {{"What", "内容"}}, {{"Why", "事由"}}},
               rows);
    return page.response();
}

std::string file_json(Call& call, bool revealed) {
    const Registry& registry = *call.snapshot->registry;
    const std::string& id = call.params[0];
    const auto unit = std::find_if(registry.units.begin(), registry.units.end(),
                                   [&](const Unit& row) { return row.unit == id; });
    if (unit == registry.units.end()) {
        throw Refused{problem(404, "not-found", "No unit " + id + " stands in the registry.")};
    }
    const Snapshot& snapshot = *call.snapshot;
    JsonWriter json;
    json.begin_object().field("unit", unit->unit).field("label", unit->label);
    json.field("use", to_string(unit->use)).field("status", to_string(unit->status));
    json.field_if("building", unit->building)
        .field_if("entrance", unit->entrance)
        .field_if("floor", unit->floor)
        .field_if("persons", unit->persons)
        .field_if("care", unit->care);
    if (unit->area_centi) json.field("area", format_decimal_trimmed(*unit->area_centi, 2, 0));
    people_of(json, registry, id, revealed);
    json.key("meters").begin_array();
    for (std::size_t i = 0; i < snapshot.meters.size(); ++i) {
        if (snapshot.meters[i].unit() != id) continue;
        json.raw(meter_json(snapshot.meters[i], call.app.zone));
    }
    json.end_array().key("accounts").begin_array();
    std::vector<std::string> accounts;
    for (std::size_t i = 0; i < snapshot.accounts.size(); ++i) {
        const AccountView& account = snapshot.accounts[i];
        // Who lives there now has nothing to do with who left; that file is the account's own.
        if (account.unit != id || !account.open) continue;
        json.raw(account_json(account, call.app.options.currency, call.app.zone));
        accounts.push_back(account.account);
    }
    json.end_array();
    ledger_of(json, call, accounts);
    json.key("alerts").begin_array();
    for (const auto& alert : snapshot.open_alerts) {
        if (alert->unit == id) json.raw(alert->payload);
    }
    json.end_array();
    keys_of(json, call, id);
    tickets_of(json, call, id, unit->label);
    views_of(json, call, id);
    json.end_object();
    return json.take();
}

// Customer service and its head always; others while the head lets them.
bool may_open(Call& call, const std::string& unit) {
    const std::vector<StaffRole>* roles = roles_of(call);
    if (roles != nullptr && may(*roles, "files:read")) return true;
    const auto accesses = call.app.readers.take()->accesses();
    return std::any_of(accesses.begin(), accesses.end(), [&](const AccessRow& one) {
        return !unit.empty() && one.staff == call.person && one.unit == unit &&
               one.state == AccessRow::State::granted && one.expires_at &&
               *one.expires_at > call.snapshot->now_ms;
    });
}

void check_access(Call& call) {
    if (call.person.empty() || may_open(call, call.params[0])) return;
    throw Refused{problem(403, "file-access",
                          "Household files are customer service's. Ask the head with POST "
                          "/api/v1/units/" +
                              call.params[0] + "/access and a reason.")};
}

void answer_access(Call& call, Respond respond, bool grant) {
    submit_act<AnswerAccess>(call, std::move(respond), [&](Body& body, AnswerAccess& act) {
        act.id = call.params[0];
        act.by = by_of(call, body);
        act.reason = body.text("reason");
        act.grant = grant;
    });
}

}  // namespace

// The first character stays: 张**.
std::string masked_name(const std::string& name) {
    std::size_t end = name.empty() ? 0 : 1;
    while (end < name.size() && (static_cast<unsigned char>(name[end]) & 0xC0U) == 0x80U) ++end;
    return name.substr(0, end) + "**";
}

std::string contact_of(const Call& call, const std::string& unit, bool whole) {
    const Registry& registry = *call.snapshot->registry;
    const LocalDate today = call.app.zone.local(call.snapshot->now_ms).date;
    const Person* contact = nullptr;
    for (const Person& person : registry.people) {
        if (person.valid_from && *person.valid_from > today) continue;
        if (person.valid_to && *person.valid_to < today) continue;
        const bool holds = holds_account(registry, person.person, unit);
        if (person.unit != unit && !holds) continue;
        if (contact == nullptr || holds) contact = &person;
        if (holds) break;
    }
    if (contact == nullptr) return "";
    return whole ? contact->name + " " + contact->phone
                 : masked_name(contact->name) + " " + masked_phone(contact->phone);
}

bool is_of_another_unit(const Call& call, const std::string& person, const std::string& unit) {
    const Registry& registry = *call.snapshot->registry;
    return std::any_of(registry.people.begin(), registry.people.end(), [&](const Person& one) {
        return one.person == person && !one.unit.empty() && one.unit != unit &&
               !holds_account(registry, person, unit);
    });
}

bool has_scope(const Call& call, const std::string& scope) {
    if (!call.person.empty()) {
        const std::vector<StaffRole>* roles = roles_of(call);
        return roles != nullptr && may(*roles, scope);
    }
    // Whoever reaches the socket of the box itself is its administrator by the system's own rule.
    if (call.actor == "local") return true;
    App& app = call.app;
    return app.authoriser.check(call.request, scope, *call.snapshot, app.readers).status == 200;
}

bool opens_file(Call& call, const std::string& unit) {
    return call.person.empty() ? has_scope(call, "files:read") : may_open(call, unit);
}

void get_unit(Call& call, Respond respond) {
    Query query(call.request);
    const bool revealed = query.flag("reveal");
    const std::string reason = query.text("reason").value_or("");
    query.finish();
    check_access(call);
    if (revealed && reason.empty())
        throw Refused{problem(400, "query",
                              "Names and phones are revealed for a reason; add reason=... to the "
                              "query. It stands in the log that the household may see.")};
    Response response = json_response(file_json(call, revealed));
    NoteView note{call.actor, call.params[0], reason, revealed ? "names and phones" : ""};
    const bool taken = call.app.engine.submit(
        std::move(note), [respond, file = std::move(response)](Reply reply) mutable {
            const bool noted = reply.kind == ReplyKind::ok;
            respond(noted ? std::move(file) : to_response(std::move(reply)));
        });
    if (!taken) throw Refused{problem(503, "busy", "The look cannot be noted now; ask again.")};
}

Response get_unit_views(Call& call) {
    Query query(call.request);
    const std::uint64_t limit = query.limit();
    const std::uint64_t after = query.after_seq();
    query.finish();
    const auto& units = call.snapshot->registry->units;
    if (std::none_of(units.begin(), units.end(),
                     [&](const Unit& unit) { return unit.unit == call.params[0]; }))
        throw Refused{
            problem(404, "not-found", "No unit " + call.params[0] + " stands in the registry.")};
    auto views =
        call.app.readers.take()->views(call.params[0], static_cast<std::int64_t>(after), limit + 1);
    const bool has_more = views.size() > limit;
    if (has_more) views.pop_back();
    if (call.request.wants_html) return views_page(call, views);
    ListWriter list;
    for (const ViewRow& view : views) {
        JsonWriter json;
        view_json(json, view, call.app.zone);
        list.item(json.take());
    }
    list.end_items();
    return list.finish(views.empty() ? static_cast<std::int64_t>(after) : views.back().id,
                       has_more);
}

void post_unit_access(Call& call, Respond respond) {
    submit_act<AskAccess>(call, std::move(respond), [&](Body& body, AskAccess& act) {
        act.unit = call.params[0];
        act.staff = by_of(call, body);
        act.reason = body.required_text("reason");
        act.hours = static_cast<int>(body.integer("hours", 1, 72).value_or(24));
    });
}

Response get_accesses(Call& call) {
    Query query(call.request);
    const auto rows = call.app.readers.take()->accesses();
    const std::vector<StaffRole>* roles = roles_of(call);
    // Who may not grant sees what he asked for himself.
    const bool all = call.person.empty() || (roles != nullptr && may(*roles, kAccessGrant));
    return list_rows(
        rows, query, [](const AccessRow& row) { return std::to_string(row.id); },
        [&](const AccessRow& row) { return all || row.staff == call.person; },
        [&](const AccessRow& row) { return access_json(row, call.app.zone); });
}

void post_access_grant(Call& call, Respond respond) {
    answer_access(call, std::move(respond), true);
}

void post_access_refuse(Call& call, Respond respond) {
    answer_access(call, std::move(respond), false);
}

}  // namespace gatehouse::http
