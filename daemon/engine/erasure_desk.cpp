#include "daemon/engine/erasure_desk.hpp"

#include <algorithm>
#include <utility>

#include "daemon/engine/card_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/money_desk.hpp"
#include "daemon/engine/registry_acts.hpp"
#include "daemon/store/key_books.hpp"
#include "daemon/store/reader.hpp"

namespace gatehouse {
namespace {

// Deleted bytes are overwritten while it lives.
class Overwriting {
  public:
    explicit Overwriting(Store& store) : store_(store) { store_.overwriting(true); }
    ~Overwriting() {
        try {
            store_.overwriting(false);
        } catch (const StoreError&) {  // it only goes on to cost writes
        }
    }
    Overwriting(const Overwriting&) = delete;
    Overwriting& operator=(const Overwriting&) = delete;

  private:
    Store& store_;
};

void write_row(JsonWriter& json, const Context& context, const ErasureRow& row) {
    json.field("person", row.person)
        .field("by", row.by)
        .field("second", row.second)
        .field("reason", row.reason)
        .field("at", context.iso(row.at));
}

// `restored`: an older copy had brought the person back.
std::string erase(Context& context, const ErasureRow& row, const PersonTraces& traces,
                  bool authenticated, bool restored) {
    const Overwriting overwriting(context.store);
    change_registry(context, [&](Registry& registry) {
        for (Person& person : registry.people) {
            if (person.person != row.person) continue;
            person.name = kErasedName;
            person.phone.clear();
            person.company.clear();
        }
    });
    context.store.erase(row, traces);
    forget_cards(context.store.key_books(), row.person);
    JsonWriter json;
    json.begin_object();
    write_row(json, context, row);
    json.field("authenticated", authenticated)
        .field("texts", traces.texts())
        .field("event_bodies", traces.events.size());
    if (restored) json.field("restored", true);
    json.end_object();
    std::string document = json.take();
    JsonWriter subject;
    subject.begin_object().field("person", row.person).end_object();
    log_event(context, "person.erased", subject.take(), document);
    context.world.erased.emplace(row.person, row);
    context.log_to_empty = true;
    return document;
}

void check_person(Context& context, Reply& reply, const std::string& person) {
    if (const std::string key = context.store.key_books().key_held_by(person); !key.empty()) {
        reply.kind = ReplyKind::refused;
        reply.type = "holds-key";
        reply.detail = "`" + person + "` has the key " + key + ": write its return down first";
        return;
    }
    for (const AccountRuntime& account : context.world.accounts) {
        if (account.row->holder != person || !account.row->closed.empty()) continue;
        reply.kind = ReplyKind::refused;
        reply.type = "holds-account";
        reply.detail = "`" + person + "` holds the open account " + account.row->account +
                       ": settle it with a change of occupant first";
        return;
    }
}

}  // namespace

Reply erase_person(Context& context, const ErasePerson& command) {
    const auto& people = context.world.registry->people;
    const bool known = std::any_of(people.begin(), people.end(), [&](const Person& person) {
        return person.person == command.person;
    });
    if (!known)
        return refusal(ReplyKind::not_found, "not-found",
                       "`" + command.person + "` is nobody in people.csv");
    Reply reply;
    check_signature(context, reply, command.act);
    if (is_refused(reply)) return reply;
    const auto done = context.world.erased.find(command.person);
    if (done != context.world.erased.end()) {
        JsonWriter json;
        json.begin_object();
        write_row(json, context, done->second);
        json.end_object();
        reply.json = json.take();
        return reply;
    }
    check_person(context, reply, command.person);
    if (!reply.type.empty()) return reply;
    const ErasureRow row{command.person, command.act.by, command.act.second, command.act.reason,
                         context.now_ms()};
    reply.json = erase(context, row, command.traces,
                       context.vouched(command.act.by, command.act.second), false);
    return reply;
}

void erase_again(Context& context) {
    std::unique_ptr<StoreReader> reader;
    for (const ErasureRow& row : context.store.listed_erasures()) {
        if (context.world.erased.contains(row.person)) continue;
        // The copy may be as old as it likes: the person may not have come yet.
        if (reader == nullptr)
            reader = std::make_unique<StoreReader>(context.options.database_path);
        erase(context, row, reader->traces(row.person), false, true);
        if (context.options.say)
            context.options.say("an older copy of the database was restored: " + row.person +
                                " is erased again");
    }
}

std::string erased_fault(const World& world, const Person& person) {
    const auto erased = world.erased.find(person.person);
    if (erased == world.erased.end()) return {};
    if (person.name == kErasedName && person.phone.empty() && person.company.empty()) return {};
    return "person `" + person.person + "` was erased by " + erased->second.by + " and " +
           erased->second.second + ": take the line out of the file, or write the name " +
           kErasedName + " without phone and company";
}

}  // namespace gatehouse
