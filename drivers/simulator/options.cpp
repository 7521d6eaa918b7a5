#include "drivers/simulator/options.hpp"

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>

#include "drivers/simulator/control.hpp"

#ifndef GATEHOUSE_VERSION
#define GATEHOUSE_VERSION "0"
#endif

namespace gatehouse::simulator {
namespace {

// What the arguments are as text, before they mean anything.
struct Texts {
    std::vector<std::string> starts, dead, faults, ports, links;
    std::string start_time;
    std::string seed = "1", speed = "1";
};

std::optional<std::pair<std::string, std::string>> pair_of(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
        return std::nullopt;
    }
    return std::pair{text.substr(0, equals), text.substr(equals + 1)};
}

std::optional<std::int64_t> time_of_day_ms(const std::string& text) {
    if (text.size() != 5 || text[2] != ':') {
        return std::nullopt;
    }
    const auto hour = parse_decimal(text.substr(0, 2), 0);
    const auto minute = parse_decimal(text.substr(3), 0);
    if (!hour || !minute || *hour < 0 || *hour > 23 || *minute < 0 || *minute > 59) {
        return std::nullopt;
    }
    return (*hour * 60 + *minute) * 60'000;
}

void declare(CLI::App& app, Options& options, Texts& texts) {
    app.add_option("--config", options.config, "gatehouse.toml: its [[bus]] tables are simulated")
        ->capture_default_str();
    app.add_option("--registry", options.registry, "registry folder: meters.csv, units.csv")
        ->required();
    app.add_option("--profiles", options.profiles,
                   "folder of meter profiles; may be repeated, a later one wins (default: those "
                   "beside the program, then [profiles] of the configuration)")
        ->allow_extra_args(false);
    app.add_option("--cabinet-profiles", options.cabinet_profiles,
                   "folder of cabinet profiles; as --profiles, with .../cabinets beside them")
        ->allow_extra_args(false);
    app.add_option("--cabinets", options.cabinets,
                   "file of how the key cabinets behave (below); without it nobody touches them");
    app.add_option("--seed", texts.seed,
                   "the same seed gives the same households and faults (default 1)");
    app.add_option("--speed", texts.speed,
                   "consumption times N; power and flow show it. No meter counts faster than its "
                   "rated current or flow, so that no reading is implausible (default 1)");
    app.add_option("--start", texts.starts,
                   "METER=REGISTER at the start; else opening_register of the registry, else made "
                   "up by the seed")
        ->allow_extra_args(false);
    app.add_option("--start-time", texts.start_time,
                   "HH:MM of the simulated day at the start (default: the wall clock's)");
    app.add_option("--fault", texts.faults,
                   "NAME=PROBABILITY[@METER[,METER...]] for each exchange; may be repeated")
        ->allow_extra_args(false);
    app.add_option("--dead", texts.dead, "METER that never answers; may be repeated")
        ->allow_extra_args(false);
    app.add_option("--late-transactions", options.building.late_transactions,
                   "a late reply comes 1 to N questions late, just before that answer (default 1)")
        ->check(CLI::Range(1, 100));
    app.add_option("--late-ms", options.late_ms,
                   "a late reply comes after that time instead, whoever speaks then")
        ->check(CLI::Range(1, 600'000));
    app.add_option("--turnaround", options.turnaround_ms,
                   "milliseconds from question to reply (default 20 on a line, 5 on TCP)")
        ->check(CLI::Range(0, 10'000));
    app.add_flag("!--no-pacing", options.pace,
                 "bytes take no time on the line (default: that of the url's baud or line_baud)");
    app.add_option("--listen", options.listen, "address to listen on instead of the urls' hosts");
    app.add_option("--port", texts.ports, "BUS=PORT instead of the url's; 0 takes a free one")
        ->allow_extra_args(false);
    app.add_option("--link", texts.links, "BUS=PATH of a pseudo-terminal instead of the url's")
        ->allow_extra_args(false);
    app.add_option("--truth", options.truth,
                   "file to which each reading of a billing register adds a JSON line: what the "
                   "register truly held, and the faults that befell the exchange");
    app.add_option("--control", options.control, "port on 127.0.0.1 for commands; 0: a free one")
        ->check(CLI::Range(0, 65535));
    app.add_flag("--list", options.list, "print the meters with bus, address and profile, and end");
    app.set_version_flag("--version", std::string("gatehouse-sim ") + GATEHOUSE_VERSION);
}

std::string footer() {
    std::string text = "\nFaults, each with its probability in one exchange:\n";
    for (std::size_t i = 0; i < kFaultNames.size(); ++i) {
        std::string name(kFaultNames[i]);
        name.resize(16, ' ');
        text += "  " + name + fault_help(static_cast<Fault>(i)) + "\n";
    }
    text +=
        "A later rule of the same name replaces an earlier one for the meters it names.\n"
        "\nOf the urls it simulates: baud, parity, stop_bits and line_... (time on the wire, "
        "behind "
        "a\ngateway too), "
        "tid=no,\necho=yes, dial_in=yes. Addresses that a profile does not name answer exception "
        "2, blocks\nlonger than the meter takes exception 3; writing is refused.\n"
        "\nCommands at the control port, one a line:\n";
    std::istringstream commands(command_help());
    for (std::string line; std::getline(commands, line);) {
        text += "  " + line + "\n";
    }
    std::istringstream acts(cabinet_help());
    for (std::string line; std::getline(acts, line);) {
        text += "  " + line + "\n";
    }
    text +=
        "\nKey cabinets: each [[cabinet]] of the configuration whose url is modbus+..., as a KCM-1 "
        "board or as\ncontacts, by its profile. Keys and tags are those of keys.csv, people with "
        "cards w<bits>:<hex> those of\nstaff.csv. The file of --cabinets:\n"
        "  [[cabinet]]\n"
        "  id = \"kc-01\"\n"
        "  visits_per_hour = 60   # people who badge, open, take or bring, close; every tenth has "
        "no right\n"
        "  log = 1000             # records that the board keeps; older ones are overwritten\n"
        "  clock_off_s = 0        # its clock before ours\n"
        "  bounce_ms = 120        # how long a contact bounces\n"
        "  [[cabinet.act]]        # a script: what is done when\n"
        "  at_ms = 5000\n"
        "  do = \"take 3 w34:012345678\"   # as behind `cabinet ID` above\n"
        "What happens there is in the truth file too: time, event, slot, person, card, and the "
        "board's boot and seq.\n";
    return text + "\nExit codes: 0 done, 1 failed, 2 bad usage or bad input.";
}

// Texts into values; the first that means nothing is returned as a sentence.
std::string interpret(const Texts& texts, Options& options) {
    const auto seed = parse_decimal(texts.seed, 0);
    const auto speed = parse_decimal(texts.speed, 0);
    if (!seed || *seed < 0) {
        return "--seed " + texts.seed + ": a whole number from 0 on";
    }
    if (!speed || *speed < 1 || *speed > kSpeedMax) {
        return "--speed " + texts.speed + ": a whole number from 1 to " + std::to_string(kSpeedMax);
    }
    options.building.seed = static_cast<std::uint64_t>(*seed);
    options.building.speed = *speed;
    for (const std::string& text : texts.starts) {
        const auto pair = pair_of(text);
        const auto value = pair ? parse_rational(pair->second) : std::nullopt;
        if (!value || value->numerator < 0) {
            return "--start " + text + ": METER=REGISTER, such as e-0101=1234.5";
        }
        options.building.starts[pair->first] = *value;
    }
    for (const std::string& text : texts.faults) {
        const ParsedFault parsed = parse_fault(text);
        if (!parsed.problem.empty()) {
            return parsed.problem;
        }
        options.building.faults.insert(options.building.faults.end(), parsed.rules.begin(),
                                       parsed.rules.end());
    }
    options.building.dead.insert(texts.dead.begin(), texts.dead.end());
    for (const std::string& text : texts.ports) {
        const auto pair = pair_of(text);
        const auto port = pair ? parse_decimal(pair->second, 0) : std::nullopt;
        if (!port || *port < 0 || *port > 65535) {
            return "--port " + text + ": BUS=PORT, such as b1=1502";
        }
        options.ports[pair->first] = static_cast<int>(*port);
    }
    for (const std::string& text : texts.links) {
        const auto pair = pair_of(text);
        if (!pair) {
            return "--link " + text + ": BUS=PATH, such as b3=/tmp/b3";
        }
        options.links[pair->first] = pair->second;
    }
    if (!texts.start_time.empty()) {
        const auto ms = time_of_day_ms(texts.start_time);
        if (!ms) {
            return "--start-time " + texts.start_time + ": HH:MM, such as 18:30";
        }
        options.building.day_start_ms = *ms;
    } else {
        options.building.day_start_ms = -1;  // main asks the wall clock
    }
    return "";
}

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv) {
    ParsedOptions parsed;
    Texts texts;
    CLI::App app{
        "gatehouse-sim: a simulated building. The meters of a registry folder answer "
        "behind the buses of a gatehouse.toml, as Modbus TCP, RTU over TCP, or RTU on a "
        "pseudo-terminal that is linked at the url's device path.",
        "gatehouse-sim"};
    declare(app, parsed.options, texts);
    app.footer(footer());
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        parsed.exit_code = app.exit(error) == 0 ? 0 : 2;
        return parsed;
    }
    const std::string problem = interpret(texts, parsed.options);
    if (!problem.empty()) {
        std::cerr << "gatehouse-sim: " << problem << "\n";
        parsed.exit_code = 2;
    }
    return parsed;
}

}  // namespace gatehouse::simulator
