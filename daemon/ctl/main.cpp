// gatehousectl: the operator's command line. It reads its arguments, finds the socket, and leaves
// the rest to the daemon.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/core/text.hpp"
#include "daemon/ctl/client.hpp"
#include "daemon/ctl/key_options.hpp"
#include "daemon/ctl/output.hpp"
#include "daemon/ctl/verbs.hpp"

namespace {

using gatehouse::ctl::Options;

constexpr const char* kDefaultConfig = "/etc/gatehouse/gatehouse.toml";
constexpr const char* kDefaultSocket = "/run/gatehouse/api.sock";

// An amount such as -5 is the daemon's to refuse, but CLI11 would take it for an option. It passes
// through the parser behind this mark, which no argument can hold otherwise than by intent.
constexpr char kMark = '\x01';

bool looks_negative(const std::string& argument) {
    return argument.size() > 1 && argument[0] == '-' &&
           (argument[1] == '.' || (argument[1] >= '0' && argument[1] <= '9'));
}

std::string unmark(std::string text) {
    if (!text.empty() && text.front() == kMark) text.erase(0, 1);
    return text;
}

struct Verbs {
    Options options;
    std::function<int(const Options&)> chosen;

    CLI::Option* text(CLI::App* app, const std::string& name, std::string& target,
                      const std::string& help) {
        return app->add_option(name, target, help)->transform([](std::string value) {
            return unmark(std::move(value));
        });
    }
    CLI::App* verb(CLI::App& parent, const std::string& name, const std::string& help,
                   int (*run)(const Options&)) {
        CLI::App* app = parent.add_subcommand(name, help);
        app->parse_complete_callback([this, run] { chosen = run; });
        return app;
    }
};

void add_registry_verbs(CLI::App& app, Verbs& verbs) {
    Options& o = verbs.options;
    auto* import = verbs.verb(app, "import", "Load or update the registry from a folder",
                              gatehouse::ctl::import_registry);
    verbs.text(import, "DIR", o.subject, "Folder with units.csv, ..., tariffs/*.toml")->required();
    import->add_flag("--dry-run", o.dry_run, "Say what would change, and change nothing");
    verbs.text(import, "--by", o.by, "Staff, for a back-dated price version");
    verbs.text(import, "--second", o.second, "Second person");
    verbs.text(import, "--reason", o.reason, "Why");
    verbs.text(import, "--control-accounts,--control_accounts", o.control_accounts,
               "How many accounts bring an opening balance, as finance counted");
    verbs.text(import, "--control-sum,--control_sum", o.control_sum, "Their sum, as finance added");
    auto* export_ = verbs.verb(app, "export", "Write the registry as the same files",
                               gatehouse::ctl::export_registry);
    verbs.text(export_, "DIR", o.subject, "Folder to write; it is made where it is absent")
        ->required();
}

void add_meter_verbs(CLI::App& app, Verbs& verbs) {
    Options& o = verbs.options;
    auto* status = verbs.verb(app, "status", "Buses, meters, MQTT, event backlog, database, clock",
                              gatehouse::ctl::status);
    status->add_flag("--meters", o.meters,
                     "A line for every meter on a bus, not only for those with a fault");
    auto* read = verbs.verb(app, "read", "Read one meter now", gatehouse::ctl::read_meter);
    verbs.text(read, "METER", o.subject, "Meter")->required();
    read->add_flag("--raw", o.raw,
                   "Show the bytes on the wire, how they are decoded, and a verdict");
    auto* scan = verbs.verb(app, "scan",
                            "Find the meters of a bus and print registry lines for them; polling "
                            "goes on meanwhile, and nothing is written to any device",
                            gatehouse::ctl::scan_bus);
    verbs.text(scan, "BUS", o.subject, "Bus of the configuration")->required();
    scan->add_option("--from", o.from, "First address (1)")->check(CLI::Range(1, 247));
    scan->add_option("--to", o.to, "Last address (247)")->check(CLI::Range(1, 247));
    scan->add_flag("--own-settings", o.own_settings,
                   "Try no other speed or parity than the bus's own (a serial line alone has "
                   "others)");
    scan->add_flag("--lines", o.lines, "Print the registry lines alone, for > meters.csv");
    auto* meter_clock =
        verbs.verb(app, "set-clock",
                   "Set a meter's own clock to the daemon's: the only thing that is ever written "
                   "to a device",
                   gatehouse::ctl::set_clock);
    verbs.text(meter_clock, "METER", o.subject, "Meter")->required();
    verbs.text(meter_clock, "--by", o.by, "Staff who ordered it")->required();
    auto* quarantine = app.add_subcommand("quarantine", "Readings that wait for staff");
    quarantine->require_subcommand(1);
    verbs.verb(*quarantine, "list", "List them", gatehouse::ctl::quarantine_list);
    const auto settle = [&](const char* name, const char* help, int (*run)(const Options&)) {
        auto* app_ = verbs.verb(*quarantine, name, help, run);
        verbs.text(app_, "ID", o.subject, "As listed")->required();
        verbs.text(app_, "--by", o.by, "Staff who decided")->required();
        verbs.text(app_, "--reason", o.reason, "Why")->required();
    };
    settle("release", "It is right: charge it", gatehouse::ctl::quarantine_release);
    settle("reject", "It is wrong: the readings before it go on",
           gatehouse::ctl::quarantine_reject);
}

void add_act_verbs(CLI::App& app, Verbs& verbs) {
    Options& o = verbs.options;
    const auto two = [&](CLI::App* verb) {
        verbs.text(verb, "--by", o.by, "Staff who looked")->required();
        verbs.text(verb, "--second", o.second, "The second person who looked")->required();
        verbs.text(verb, "--at", o.at, "When, such as 2026-11-23T20:15 (now)");
    };
    auto* dial = verbs.verb(app, "dial", "Enter a reading by eye", gatehouse::ctl::dial);
    verbs.text(dial, "METER", o.subject, "Meter")->required();
    verbs.text(dial, "FACE", o.face, "What its face shows, before the multiplier")->required();
    verbs.text(dial, "--by", o.by, "Staff who looked; needed, but for --dry-run");
    verbs.text(dial, "--second", o.second, "The second person who looked; likewise");
    verbs.text(dial, "--at", o.at, "When, such as 2026-11-23T20:15 (now)");
    verbs.text(dial, "--photo", o.photo, "Name or number of the picture");
    verbs.text(dial, "--supersedes", o.supersedes,
               "The stored reading that was wrong: what it changes is posted as corrections");
    verbs.text(dial, "--reason", o.reason, "Why, of a correction");
    dial->add_flag("--dry-run", o.dry_run,
                   "Say what a correction would charge, and change nothing");
    auto* confirm = verbs.verb(app, "confirm", "The face agrees with a profile in conflict",
                               gatehouse::ctl::confirm_face);
    verbs.text(confirm, "METER", o.subject, "Meter")->required();
    verbs.text(confirm, "FACE", o.face, "What its face shows")->required();
    verbs.text(confirm, "--by", o.by, "Staff who looked")->required();
    auto* replace = verbs.verb(app, "replace", "A meter was exchanged", gatehouse::ctl::replace);
    verbs.text(replace, "METER", o.subject, "Meter")->required();
    verbs.text(replace, "--old-final,--old_final", o.old_final, "Last face of the old meter")
        ->required();
    verbs.text(replace, "--new-serial,--new_serial", o.new_serial, "Serial number of the new one")
        ->required();
    verbs.text(replace, "--new-opening,--new_opening", o.new_opening, "First face of the new one")
        ->required();
    verbs.text(replace, "--new-address,--new_address", o.new_address, "Where it has another");
    two(replace);
    const auto hold = [&](const char* name, const char* help, int (*run)(const Options&)) {
        auto* verb = verbs.verb(app, name, help, run);
        verbs.text(verb, "METER", o.subject, "Meter")->required();
        verbs.text(verb, "--by", o.by, "Staff");
        verbs.text(verb, "--reason", o.reason, "Why");
    };
    hold("hold", "Confirm nothing of a meter until it is let go", gatehouse::ctl::hold);
    hold("unhold", "Let it go on", gatehouse::ctl::unhold);
}

// What two people sign, once under a key.
void add_signature(CLI::App* verb, Verbs& verbs) {
    Options& o = verbs.options;
    verbs.text(verb, "--reason", o.reason, "Why, in a few words")->required();
    verbs.text(verb, "--by", o.by, "Staff who does it")->required();
    verbs.text(verb, "--second", o.second, "Another one of the staff, who agrees")->required();
    verbs
        .text(verb, "--key", o.key,
              "Names this act: asked again with the same key, it is done once")
        ->required();
}

void add_money_act_verbs(CLI::App& app, Verbs& verbs) {
    Options& o = verbs.options;
    auto* reverse =
        verbs.verb(app, "reverse", "Undo one top-up, fee or refund whole", gatehouse::ctl::reverse);
    verbs.text(reverse, "ENTRY", o.subject, "Entry, such as e42")->required();
    auto* refund =
        verbs.verb(app, "refund", "Give a household its money back", gatehouse::ctl::refund);
    verbs.text(refund, "ACCOUNT", o.subject, "Account")->required();
    verbs.text(refund, "AMOUNT", o.amount, "Amount, never more than the balance")->required();
    verbs.text(refund, "--method", o.method, "cash, card, transfer, qr or cheque (cash)");
    verbs.text(refund, "--reference", o.reference, "Number of the slip or transfer");
    auto* transfer =
        verbs.verb(app, "transfer", "Right money, wrong room: move it", gatehouse::ctl::transfer);
    verbs.text(transfer, "FROM", o.subject, "Account that it leaves")->required();
    verbs.text(transfer, "TO", o.to_account, "Account that it goes to")->required();
    verbs.text(transfer, "AMOUNT", o.amount, "Amount")->required();
    verbs.text(transfer, "--reference", o.reference, "Number of a paper");
    auto* adjust =
        verbs.verb(app, "adjust", "Correct a balance by a signed amount", gatehouse::ctl::adjust);
    verbs.text(adjust, "ACCOUNT", o.subject, "Account")->required();
    verbs.text(adjust, "AMOUNT", o.amount, "Signed amount, such as -12.30")->required();
    verbs.text(adjust, "--reference", o.reference, "Basis document");
    verbs.text(adjust, "--service", o.service, "electricity or water (the account's)");
    for (CLI::App* verb : {reverse, refund, transfer, adjust}) add_signature(verb, verbs);
    auto* remap =
        verbs.verb(app, "remap", "Set right a meter that was mixed up with another, or with a unit",
                   gatehouse::ctl::remap);
    verbs.text(remap, "METER", o.subject, "Meter")->required();
    verbs.text(remap, "--with", o.with, "The other meter, or the unit that it belongs to")
        ->required();
    verbs.text(remap, "--from", o.from_day, "The day since when, such as 2026-10-05")->required();
    verbs.text(remap, "--reference", o.reference, "Basis document");
    remap->add_flag("--dry-run", o.dry_run, "Say what it would charge, and change nothing");
    verbs.text(remap, "--reason", o.reason, "Why, in a few words");
    verbs.text(remap, "--by", o.by, "Staff who does it");
    verbs.text(remap, "--second", o.second, "Another one of the staff, who agrees");
    verbs.text(remap, "--key", o.key,
               "Names this act: asked again with the same key, it is done "
               "once");
}

void add_closing_verbs(CLI::App& app, Verbs& verbs) {
    Options& o = verbs.options;
    auto* close =
        verbs.verb(app, "close", "End an account at exactly 0.00", gatehouse::ctl::close_account);
    verbs.text(close, "ACCOUNT", o.subject, "Account")->required();
    auto* occupant = verbs.verb(app, "occupant",
                                "Change of occupant: settle and close, open anew from the same "
                                "registers",
                                gatehouse::ctl::occupant);
    verbs.text(occupant, "UNIT", o.subject, "Unit")->required();
    verbs.text(occupant, "--holder", o.holder, "Who comes: a person of people.csv")->required();
    verbs
        .text(occupant, "--settle", o.settle,
              "What is done with what is left: refund, transfer or debt")
        ->required();
    verbs.text(occupant, "--to", o.to_account, "Account for settle transfer (the new one)");
    verbs.text(occupant, "--method", o.method, "How it is refunded (cash)");
    verbs.text(occupant, "--reference", o.reference, "Number of the slip or transfer");
    verbs.text(occupant, "--at", o.at, "When (now); never before the meters' last reading");
    verbs.text(occupant, "--ladder", o.ladder, "anew, or continue with the dwelling (anew)");
    for (CLI::App* verb : {close, occupant}) {
        verb->add_flag("--accept-last-reading,--accept_last_reading", o.accept_last_reading,
                       "Where a meter does not answer and nobody can read its dial");
        add_signature(verb, verbs);
    }
}

void add_money_verbs(CLI::App& app, Verbs& verbs) {
    Options& o = verbs.options;
    auto* accounts =
        verbs.verb(app, "accounts", "Balances, days left, alert level", gatehouse::ctl::accounts);
    accounts->add_flag("--low", o.low, "Only those at level 1 or above");
    auto* topup = verbs.verb(app, "topup", "Book a payment", gatehouse::ctl::topup);
    verbs.text(topup, "ACCOUNT", o.subject, "Account")->required();
    verbs.text(topup, "AMOUNT", o.amount, "Amount, such as 100.00")->required();
    verbs
        .text(topup, "--key", o.key,
              "Names this payment: asked again with the same key, it is booked once")
        ->required();
    verbs.text(topup, "--by", o.by, "Staff who took the money")->required();
    verbs.text(topup, "--method", o.method, "cash, card, transfer, qr or cheque (cash)");
    verbs.text(topup, "--reference", o.reference, "Number of the slip or transfer");
    verbs.text(topup, "--receipt", o.receipt, "Number of a receipt already written by hand");
    verbs.text(topup, "--payer", o.payer, "Who paid");
    verbs.text(topup, "--note", o.note, "Note");
    verbs.text(topup, "--received-at", o.received_at, "When the money arrived (now)");
    auto* why = verbs.verb(app, "why", "Every fen of the balance", gatehouse::ctl::why);
    verbs.text(why, "ACCOUNT", o.subject, "Account")->required();
    verbs.text(why, "--month", o.month, "One month, such as 2026-11");
    verbs.verb(app, "verify", "Prove the ledger, the event log and both chains",
               gatehouse::ctl::verify);
}

void add_alert_verbs(CLI::App& app, Verbs& verbs) {
    Options& o = verbs.options;
    auto* alerts = app.add_subcommand("alerts", "List alerts");
    alerts->add_flag("--open", o.open, "Only those that are open");
    alerts->require_subcommand(0, 1);
    alerts->callback([&verbs, alerts] {
        if (alerts->get_subcommands().empty()) verbs.chosen = gatehouse::ctl::alerts;
    });
    verbs.verb(*alerts, "test", "Send a test alert to the broker", gatehouse::ctl::alerts_test);
    auto* ack = verbs.verb(app, "ack", "Note that somebody was told", gatehouse::ctl::ack);
    verbs.text(ack, "ALERT", o.subject, "Alert")->required();
    verbs.text(ack, "--by", o.by, "Staff who told them")->required();
    verbs.text(ack, "--via", o.via, "phone, visit, posted, message or other")->required();
    verbs.text(ack, "--note", o.note, "Note");
    verbs.text(ack, "--result", o.result, "What came of it");
}

void add_pool_verbs(CLI::App& app, Verbs& verbs) {
    Options& o = verbs.options;
    auto* pool = app.add_subcommand("pool", "Shared areas: what is left between meters");
    pool->require_subcommand(1);
    verbs.verb(*pool, "list", "List them", gatehouse::ctl::pool_list);
    const auto one = [&](const char* name, const char* help, int (*run)(const Options&)) {
        auto* verb = verbs.verb(*pool, name, help, run);
        verbs.text(verb, "POOL", o.subject, "Id in pools.csv")->required();
        return verb;
    };
    verbs.text(one("show", "The sheet of a month, approved or a draft", gatehouse::ctl::pool_show),
               "--month", o.month, "Such as 2026-11; absent: the last one that ended");
    auto* approve =
        one("approve", "Share a month out; the members are charged from the next day on",
            gatehouse::ctl::pool_approve);
    verbs.text(approve, "--month", o.month, "Such as 2026-11; absent: the last one that ended");
    verbs.text(approve, "--sheet", o.sheet, "Hash of the sheet that was looked at");
    verbs.text(approve, "--by", o.by, "Staff who approves")->required();
    verbs.text(approve, "--second", o.second, "Staff who agrees")->required();
    verbs.text(approve, "--reason", o.reason, "Why it is shared")->required();
    verbs.text(approve, "--key", o.key, "Idempotency key")->required();
    auto* withdraw = one("withdraw", "Take an approval back before it is charged",
                         gatehouse::ctl::pool_withdraw);
    verbs.text(withdraw, "--month", o.month, "Such as 2026-11")->required();
    verbs.text(withdraw, "--by", o.by, "Staff who takes it back")->required();
    verbs.text(withdraw, "--reason", o.reason, "Why")->required();
}

void add_erasure_verbs(CLI::App& app, Verbs& verbs) {
    Options& o = verbs.options;
    auto* erase = verbs.verb(app, "erase", "Take a person's name, phone and traces away, for good",
                             gatehouse::ctl::erase);
    verbs.text(erase, "PERSON", o.subject, "Id in people.csv, without an open account")->required();
    verbs.text(erase, "--by", o.by, "Staff who does it")->required();
    verbs.text(erase, "--second", o.second, "Another one of the staff, who agrees")->required();
    verbs.text(erase, "--reason", o.reason, "Why, in a few words")->required();
    verbs.verb(app, "erasures", "Who was erased", gatehouse::ctl::erasures);
}

void add_admin_verbs(CLI::App& app, Verbs& verbs) {
    Options& o = verbs.options;
    auto* period = app.add_subcommand("period", "Months of the books");
    period->require_subcommand(1);
    verbs.verb(*period, "list", "List them", gatehouse::ctl::period_list);
    const auto month = [&](const char* name, const char* help, int (*run)(const Options&)) {
        auto* verb = verbs.verb(*period, name, help, run);
        verbs.text(verb, "MONTH", o.subject, "Such as 2026-11")->required();
        return verb;
    };
    month("show", "What is open in it, or its sealed files", gatehouse::ctl::period_show);
    verbs
        .text(month("close", "Seal its files; later changes are corrections in the open month",
                    gatehouse::ctl::period_close),
              "--by", o.by, "Staff who closes it")
        ->required();
    add_pool_verbs(app, verbs);
    gatehouse::ctl::add_key_verbs(app, verbs.options,
                                  [&verbs](gatehouse::ctl::Verb run) { verbs.chosen = run; });
    add_erasure_verbs(app, verbs);
    auto* user = app.add_subcommand("user", "Passwords of the staff");
    user->require_subcommand(1);
    verbs
        .text(verbs.verb(*user, "passwd", "Give a password, read from standard input",
                         gatehouse::ctl::user_passwd),
              "STAFF", o.subject, "Id in staff.csv")
        ->required();
    verbs.verb(*user, "list", "Who has one", gatehouse::ctl::user_list);
    auto* token = app.add_subcommand("token", "Tokens of programs on the listener");
    token->require_subcommand(1);
    auto* add = verbs.verb(*token, "add", "Make one; its secret is shown this once",
                           gatehouse::ctl::token_add);
    verbs.text(add, "--name", o.name, "What it is for")->required();
    add->add_option("--scope", o.scopes, "Scopes, with commas between")->required()->delimiter(',');
    add->add_option("--addresses", o.addresses, "Addresses or networks that it holds from (all)")
        ->delimiter(',');
    verbs.text(add, "--expires-at", o.expires_at, "Last moment, such as 2027-01-01");
    verbs.verb(*token, "list", "List them, without secrets", gatehouse::ctl::token_list);
    auto* revoke = verbs.verb(*token, "revoke", "End one at once", gatehouse::ctl::token_revoke);
    verbs.text(revoke, "ID", o.subject, "Token")->required();
    auto* clock = app.add_subcommand("clock", "Whether the clock is trusted");
    clock->require_subcommand(1);
    verbs.verb(*clock, "status", "Say so", gatehouse::ctl::clock_status);
    auto* confirm = verbs.verb(*clock, "confirm", "Staff have looked: it is right",
                               gatehouse::ctl::clock_confirm);
    verbs.text(confirm, "--by", o.by, "Staff")->required();
}

// --socket, else http.socket of the configuration, else the place where the unit puts it. A
// configuration that was named and is wrong is an error; the default one may be missing or broken
// while its daemon still runs.
bool find_socket(const std::string& config_path, Options& options) {
    if (!options.socket_path.empty()) return true;
    std::error_code ignored;
    const bool named = !config_path.empty();
    const std::string path = named ? config_path : kDefaultConfig;
    options.socket_path = kDefaultSocket;
    if (!named && !std::filesystem::exists(path, ignored)) return true;
    const auto loaded = gatehouse::config::load(path);
    if (loaded.problems.empty()) {
        options.socket_path = loaded.config.http.socket;
        return true;
    }
    if (!named) return true;
    std::string lines;
    for (const auto& problem : loaded.problems) {
        lines += (lines.empty() ? "" : "\n") + gatehouse::to_string(problem);
    }
    if (options.json) {
        gatehouse::ctl::fail(options, gatehouse::ctl::kBadInput, "configuration", lines);
    } else {
        std::cerr << lines << "\n";
    }
    return false;
}

// What is wrong with the arguments; --json is looked for in them, because they did not parse.
int bad_usage(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
    Options options;
    options.json = std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
    const std::vector<std::string> rest = app.remaining();
    if (app.get_subcommands().empty() && !rest.empty()) {
        std::vector<std::string> verbs;
        for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
            verbs.push_back(verb->get_name());
        const auto near = gatehouse::nearest(rest.front(), verbs);
        return gatehouse::ctl::fail(options, gatehouse::ctl::kBadInput, "usage",
                                    "there is no verb " + rest.front() +
                                        (near ? "; did you mean " + *near + "?" : "") +
                                        " (--help lists them)");
    }
    if (!options.json) {
        app.exit(error);
        return gatehouse::ctl::kBadInput;
    }
    return gatehouse::ctl::fail(options, gatehouse::ctl::kBadInput, "usage", error.what());
}

std::ptrdiff_t name_end(const std::string& option) {
    return static_cast<std::ptrdiff_t>(std::min(option.find('='), option.size()));
}

int run(int argc, char** argv) {
    CLI::App app("gatehousectl: the operator's command line of a running gatehoused");
    app.name("gatehousectl");
    app.fallthrough();
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string("gatehousectl ") + GATEHOUSE_VERSION);
    app.footer(
        "Exit codes: 0 done, 1 failed, 2 bad usage or bad input.\n"
        "The socket is --socket, else http.socket of the configuration\n"
        "(/etc/gatehouse/gatehouse.toml), else /run/gatehouse/api.sock. Whoever may open it is\n"
        "the local administrator. Under --json a verb prints one JSON document, what its HTTP\n"
        "route would, and on failure the problem document on standard error.");
    Verbs verbs;
    std::string config_path;
    auto* config = app.add_option("--config", config_path, "Configuration of the daemon");
    app.add_option("--socket", verbs.options.socket_path, "Socket of the daemon")->excludes(config);
    app.add_flag("--json", verbs.options.json, "Print JSON");
    int timeout_s = 0;
    app.add_option("--timeout", timeout_s,
                   "Seconds to wait for an answer (10 for status, 90 for most, 660 for what takes "
                   "long)")
        ->check(CLI::Range(1, 86'400));
    add_registry_verbs(app, verbs);
    add_meter_verbs(app, verbs);
    add_act_verbs(app, verbs);
    add_money_verbs(app, verbs);
    add_money_act_verbs(app, verbs);
    add_closing_verbs(app, verbs);
    add_alert_verbs(app, verbs);
    add_admin_verbs(app, verbs);

    std::vector<std::string> arguments;
    for (int i = argc - 1; i > 0; --i) {
        std::string argument = argv[i];
        if (looks_negative(argument)) argument.insert(argument.begin(), kMark);
        // Options have the names of the body's fields: pay_method may be written either way.
        if (argument.starts_with("--"))
            std::replace(argument.begin(), argument.begin() + name_end(argument), '_', '-');
        arguments.push_back(std::move(argument));
    }
    try {
        app.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() != 0) return bad_usage(app, error, argc, argv);
        return app.exit(error);
    }
    gatehouse::ctl::wait_at_most(timeout_s);
    if (!find_socket(config_path, verbs.options)) return gatehouse::ctl::kBadInput;
    try {
        return verbs.chosen(verbs.options);
    } catch (const gatehouse::ctl::Unreachable& error) {
        return gatehouse::ctl::fail(verbs.options, gatehouse::ctl::kFailed, "unreachable",
                                    error.what());
    } catch (const gatehouse::ctl::Unreadable& error) {
        return gatehouse::ctl::fail(verbs.options, gatehouse::ctl::kFailed, "unreadable",
                                    error.what());
    }
}

// What was asked is done, but a script that reads nothing must not take it for an empty answer.
int printed(int code, bool json) {
    std::cout.flush();
    if (std::cout) return code;
    Options options;
    options.json = json;
    const int failed = gatehouse::ctl::fail(
        options, gatehouse::ctl::kFailed, "output",
        "standard output could not be written; is the disk full? What was asked was carried out "
        "all the same, or refused as said above");
    return code == gatehouse::ctl::kDone ? failed : code;
}

// Closed by the caller, its number would go to the daemon's socket.
bool is_closed(int fd) {
    return ::fcntl(fd, F_GETFD) == -1 && errno == EBADF;
}

}  // namespace

int main(int argc, char** argv) {
    const bool json = std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
    if (is_closed(STDOUT_FILENO)) {
        std::cerr << "gatehousectl: standard output is closed; nothing was asked of the daemon\n";
        return gatehouse::ctl::kFailed;
    }
    while (is_closed(STDIN_FILENO) || is_closed(STDERR_FILENO))
        if (::open("/dev/null", O_RDWR) < 0) break;
    try {
        return printed(run(argc, argv), json);
    } catch (const std::exception& error) {
        std::cerr << "gatehousectl: " << error.what() << "\n";
        return gatehouse::ctl::kFailed;
    }
}
