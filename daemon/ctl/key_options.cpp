#include "daemon/ctl/key_options.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::ctl {

namespace {

// Its callbacks run after it is gone, so they hold what they need.
class Words {
  public:
    Words(Options& options, const std::function<void(Verb)>& choose)
        : options_(options), choose_(choose) {}

    CLI::App* group(CLI::App& app, const char* name, const char* help, Verb alone) {
        CLI::App* group = app.add_subcommand(name, help);
        group->require_subcommand(0, 1);
        group->callback([choose = choose_, group, alone] {
            if (group->get_subcommands().empty()) choose(alone);
        });
        return group;
    }
    CLI::App* verb(CLI::App& group, const std::string& name, const char* help, Verb run) {
        CLI::App* verb = group.add_subcommand(name, help);
        verb->callback([&options = options_, choose = choose_, name, run] {
            options.action = name;
            choose(run);
        });
        return verb;
    }
    // --external-no is the body's external_no.
    CLI::Option* field(CLI::App* verb, const std::string& name, const char* help) {
        std::string option = "--" + name;
        for (char& c : option)
            if (c == '_') c = '-';
        return verb->add_option(option, options_.fields[name], help);
    }
    void flag(CLI::App* verb, const std::string& name, const char* help) {
        verb->add_flag_callback(
            "--" + name, [&options = options_, name] { options.flags.push_back(name); }, help);
    }
    void people(CLI::App* verb) {
        verb->add_option("--by", options_.by, "Staff who says so")->required();
        verb->add_option("--note", options_.note, "Note");
        verb->add_option("--reason", options_.reason, "Why");
    }
    Options& options() { return options_; }

  private:
    Options& options_;
    std::function<void(Verb)> choose_;
};

void add_keys(CLI::App& app, Words& words) {
    CLI::App* keys = words.group(app, "keys", "Keys: where they are and who has them", ctl::keys);
    words.field(keys, "state", "in, out, given, lost or unknown");
    words.field(keys, "person", "Out with that person");
    words.field(keys, "cabinet", "Hanging there");
    const auto one = [&](const char* name, const char* help, Verb run) {
        CLI::App* verb = words.verb(*keys, name, help, run);
        verb->add_option("KEY", words.options().subject, "Id in keys.csv")->required();
        return verb;
    };
    one("show", "One key with its loans", key_show);
    const auto act = [&](const char* name, const char* help) {
        CLI::App* verb = one(name, help, key_act);
        verb->add_option("--by", words.options().by, "Staff who writes it down")->required();
        verb->add_option("--reason", words.options().reason, "Why");
        words.field(verb, "at", "When it happened (now)");
        return verb;
    };
    CLI::App* out = act("out", "Somebody takes a key that no cabinet watches");
    words.field(out, "person", "Who takes it: staff, or one of people.csv")->required();
    out->add_option("--second", words.options().second, "Who is there as well");
    words.field(out, "ticket", "What for");
    words.field(out, "until", "When it is back");
    words.field(act("in", "It is back"), "person", "Who brings it (its holder)");
    words.field(act("handover", "It goes on to another"), "to", "To whom")->required();
    // What both say is said now, so these take no time.
    const auto say = [&](const char* name, const char* help) {
        CLI::App* verb = one(name, help, key_act);
        verb->add_option("--by", words.options().by, "Who says so")->required();
        verb->add_option("--reason", words.options().reason, "Why");
        return verb;
    };
    words.field(say("offer", "Hand-over that both say: its holder begins, or who takes it over"),
                "to", "To whom, where its holder begins");
    say("confirm", "The other one of the two says so, within ten minutes");
    say("decline", "One of the two takes it back");
    for (const auto& [name, help] :
         {std::pair{"unseal", "The seal of a key is opened, the second one there"},
          std::pair{"seal", "A new seal is put on"}}) {
        CLI::App* verb = act(name, help);
        words.field(verb, "person", "Who does it (who writes it down)");
        verb->add_option("--second", words.options().second, "Who is there as well");
        if (std::string_view(name) == "seal")
            words.field(verb, "seal_no", "What stands on it")->required();
    }
    act("lost", "It is lost");
    act("found", "It was found again");
    act("given", "The owner has it, for good");
    CLI::App* count = act("count", "Stock-take: what one finds, --present or not");
    words.flag(count, "present", "It is there");
    words.field(count, "count", "How many pieces of a bunch are there, instead");
    count->add_option("--second", words.options().second, "Who counts with them");
    CLI::App* sheet =
        words.verb(*keys, "stock-take", "The sheet: expected, counted, apart", stock_take);
    words.field(sheet, "from", "Counted since (the first of this month)");
    words.field(sheet, "to", "Counted until (now)");
    words.field(act("extend", "It stays out longer"), "until", "Until when")->required();
}

void add_cabinets(CLI::App& app, Words& words) {
    CLI::App* cabinets =
        words.group(app, "cabinets", "Key cabinets: online, clocks, gaps", ctl::cabinets);
    words.verb(*cabinets, "events", "What one said", cabinet_events)
        ->add_option("CABINET", words.options().subject, "Id in gatehouse.toml")
        ->required();
    CLI::App* clock =
        words.verb(*cabinets, "set-clock", "Set one's own clock to the daemon's", cabinet_clock);
    clock->add_option("CABINET", words.options().subject, "Id in gatehouse.toml")->required();
    clock->add_option("--by", words.options().by, "Staff who ordered it")->required();
}

void add_tickets(CLI::App& app, Words& words) {
    CLI::App* tickets = words.group(app, "tickets", "Repair tickets", ctl::tickets);
    for (const char* name : {"state", "unit", "kind", "from", "to"})
        words.field(tickets, name, "Only such tickets");
    CLI::App* fresh = words.verb(*tickets, "new", "Report one", ticket_new);
    words.field(fresh, "kind", "repair, complaint, inspection, defect, paid_service")->required();
    words.field(fresh, "text", "What is wrong")->required();
    fresh->add_option("--by", words.options().by, "Staff who took the call")->required();
    words.field(fresh, "unit", "Where");
    words.field(fresh, "place", "Where, in public areas");
    words.field(fresh, "category", "Such as 电气");
    words.field(fresh, "urgency", "urgent, normal or planned");
    words.field(fresh, "channel", "phone, desk, patrol, ...");
    words.field(fresh, "external_no", "Its number in another system");
    words.field(fresh, "reported_at", "When it was reported (now)");
    words.field(fresh, "appointment_at", "When somebody is expected");
    words.flag(fresh, "emergency", "The key first, the owner later");
    const auto one = [&](const char* name, const char* help, Verb run) {
        CLI::App* verb = words.verb(*tickets, name, help, run);
        verb->add_option("TICKET", words.options().subject, "Its number")->required();
        return verb;
    };
    one("show", "All of one", ticket_show);
    const auto act = [&](const char* name, const char* help) {
        CLI::App* verb = one(name, help, ticket_act);
        words.people(verb);
        return verb;
    };
    const auto typed = [&](CLI::App* verb) {
        words.field(verb, "at", "When it was so, of a slip that is typed later (now)");
        return verb;
    };
    for (const char* name : {"dispatch", "transfer"}) {
        CLI::App* verb = typed(act(name, "Send somebody"));
        verb->add_option("--crew", words.options().crew, "Who goes")->required()->delimiter(',');
        words.field(verb, "appointment_at", "When they are expected");
        words.field(verb, "agreed_price", "Of a paid repair, before the work");
    }
    words.field(typed(act("accept", "They take it")), "owner_contacted_at",
                "When the owner was called");
    act("decline", "They cannot");
    CLI::App* start = typed(act("start", "They are there"));
    words.field(start, "owner_contacted_at", "When the owner was called");
    words.field(start, "agreed_price", "Of a paid repair, before the work");
    words.field(act("pause", "It waits"), "until", "When it goes on")->required();
    CLI::App* done = typed(act("done", "The work is done"));
    for (const char* name : {"result", "material", "labour", "pay_method", "receipt"})
        words.field(done, name, "As on the slip");
    CLI::App* visit = act("visit", "The return visit");
    words.field(visit, "rating", "A, B or C")->required();
    words.field(visit, "spoken_to", "Who was spoken to");
    words.flag(act("close", "File it"), "override", "With a key out, and a reason");
    act("reopen", "The same fault again");
    act("cancel", "Nothing is to be done");
    CLI::App* link = act("link", "A key was taken for it");
    words.field(link, "key", "The key that is out");
    words.field(link, "loan", "Or the loan");
    CLI::App* unlink = act("unlink", "A link made by hand was wrong; needs a reason");
    words.field(unlink, "key", "The key");
    words.field(unlink, "loan", "Or the loan");
    words.field(act("extend", "It takes longer"), "until", "Until when")->required();
}

}  // namespace

void add_key_verbs(CLI::App& app, Options& options, const std::function<void(Verb)>& choose) {
    Words words(options, choose);
    add_keys(app, words);
    add_cabinets(app, words);
    add_tickets(app, words);
    CLI::App* line = words.verb(app, "timeline", "What happened to one thing", timeline);
    for (const char* name : {"unit", "key", "ticket", "staff", "meter", "account", "cabinet"})
        words.field(line, name, "About that one");
    CLI::App* sheets =
        words.verb(app, "handovers", "Many move-ins or move-outs, a record a flat", handovers);
    sheets->add_option("FILE", options.subject, "CSV: unit,direction,at,part,item,value,...")
        ->required();
    sheets->add_option("--by", options.by, "Staff who wrote it down")->required();
    sheets->add_option("--second", options.second, "Who read the dials as well");
}

}  // namespace gatehouse::ctl
