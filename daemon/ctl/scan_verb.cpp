// gatehousectl scan: begins a scan, follows it with a progress bar where somebody looks, ends it on
// Ctrl-C, and prints what was found with registry lines ready to import.
#include <unistd.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <csignal>
#include <iostream>
#include <string>
#include <thread>

#include "daemon/ctl/output.hpp"
#include "daemon/ctl/table.hpp"

namespace gatehouse::ctl {

namespace json = boost::json;

namespace {

constexpr auto kAskEvery = std::chrono::milliseconds(300);
constexpr int kBarWidth = 24;

volatile std::sig_atomic_t interrupted = 0;
void on_interrupt(int) {
    interrupted = 1;
}

std::int64_t whole(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

// One line that is drawn over itself; nothing at all where standard output is no terminal.
class Bar {
  public:
    Bar() : on_(::isatty(STDOUT_FILENO) == 1) {}
    void show(const json::object& scan) {
        if (!on_) return;
        const auto percent =
            static_cast<int>(std::clamp<std::int64_t>(whole(scan, "percent"), 0, 100));
        const int full = percent * kBarWidth / 100;
        std::string line = "[" + std::string(static_cast<std::size_t>(full), '#') +
                           std::string(static_cast<std::size_t>(kBarWidth - full), '.') + "] " +
                           std::to_string(percent) + " %  " + text(scan, "phase");
        if (!text(scan, "line").empty()) line += " " + text(scan, "line");
        line += "  address " + text(scan, "address") + "  " + text(scan, "found") + " found  " +
                clock_text(whole(scan, "left_ms")) + " left";
        const std::size_t width = line.size();
        if (width < width_) line += std::string(width_ - width, ' ');
        width_ = width;
        std::cout << "\r" << line << std::flush;
    }
    void clear() {
        if (on_ && width_ > 0) std::cout << "\r" << std::string(width_, ' ') << "\r" << std::flush;
        width_ = 0;
    }

  private:
    static std::string clock_text(std::int64_t ms) {
        const std::int64_t seconds = (ms + 999) / 1'000;
        const std::string rest = std::to_string(seconds % 60);
        return std::to_string(seconds / 60) + ":" + (rest.size() == 1 ? "0" + rest : rest);
    }
    bool on_;
    std::size_t width_ = 0;
};

std::string figures_text(const json::object& device) {
    std::string line;
    for (const json::value& item : list(device, "figures")) {
        const json::object& figure = item.get_object();
        const std::string unit = text(figure, "unit");
        line += (line.empty() ? "" : ", ") + text(figure, "measurement") + " " +
                text(figure, "value") + (unit.empty() ? "" : " " + unit);
    }
    return line;
}

std::string names(const json::array& items) {
    std::string line;
    for (const json::value& item : items) {
        line += (line.empty() ? "" : ", ") + std::string(item.get_string().c_str());
    }
    return line;
}

void print_details(const json::object& device) {
    const auto say = [&](const std::string& what) {
        if (!what.empty())
            std::cout << "  address " << text(device, "address") << ": " << what << "\n";
    };
    say(text(device, "why"));
    say(figures_text(device));
    for (const json::value& finding : list(device, "findings")) {
        say("implausible: " + std::string(finding.get_string().c_str()));
    }
    // Variants of one model often differ in what no register tells: a person chooses.
    std::string others;
    for (const json::value& item : list(device, "candidates")) {
        const json::object& candidate = item.get_object();
        const bool best = text(candidate, "profile") == text(device, "profile");
        if (best || text(candidate, "match") != text(device, "match")) continue;
        others += (others.empty() ? "" : ", ") + text(candidate, "profile");
    }
    if (!others.empty()) say("as well as it fits " + others + "; compare with the type plate");
    const json::object& duplicate = member(device, "duplicate");
    const std::string verdict = text(duplicate, "verdict");
    if (verdict == "certain") say("DUPLICATE ADDRESS: " + text(duplicate, "why"));
    if (verdict == "possible") say("duplicate address? " + text(duplicate, "why"));
    if (verdict == "none") say(text(duplicate, "why"));
    say(text(device, "note"));
}

void print_scan(const json::object& scan) {
    TextTable table;
    for (const char* heading : {"ADDRESS", "LINE", "PROFILE", "MATCH", "SERIAL", "REGISTRY"}) {
        table.column(heading);
    }
    for (const json::value& item : list(scan, "devices")) {
        const json::object& device = item.get_object();
        const bool readable = truth(device, "readable");
        const std::string profile = text(device, "profile");
        table.row({text(device, "address"), text(device, "line"),
                   !readable         ? "(damaged replies)"
                   : profile.empty() ? "(unknown)"
                                     : profile,
                   text(device, "match"), text(device, "serial"), names(list(device, "meters"))});
    }
    std::cout << (table.empty() ? "nobody answers\n" : table.text());
    for (const json::value& item : list(scan, "devices")) print_details(item.get_object());
    for (const json::value& item : list(scan, "silent")) {
        const json::object& meter = item.get_object();
        std::cout << "  address " << text(meter, "address") << ": " << text(meter, "meter")
                  << " of the registry does not answer\n";
    }
    for (const json::value& note : list(scan, "notes")) {
        std::cout << "  " << note.get_string().c_str() << "\n";
    }
    const std::string lines = text(scan, "registry");
    if (lines.empty()) return;
    std::cout << "\nRegistry lines (meters.csv). Role check: read, and nobody is charged; name the "
                 "unit and\nmake the role unit once you know whose it is.\n\n"
              << lines;
}

// The end of the scan, or the problem that ended the asking.
Answer follow(const Options& options, const std::string& path) {
    Bar bar;
    for (;;) {
        if (interrupted != 0) {
            bar.clear();
            return call(options.socket_path, "DELETE", path);
        }
        Answer answer = call(options.socket_path, "GET", path);
        const json::object scan = answer.ok() ? document(answer) : json::object();
        if (!answer.ok() || text(scan, "state") != "running") {
            bar.clear();
            return answer;
        }
        bar.show(scan);
        std::this_thread::sleep_for(kAskEvery);
    }
}

}  // namespace

int scan_bus(const Options& options) {
    json::object body;
    if (options.from != 0) body["from"] = options.from;
    if (options.to != 0) body["to"] = options.to;
    if (options.own_settings) body["own_settings"] = true;
    const std::string path = "/api/v1/buses/" + encode(options.subject) + "/scan";
    const Answer begun = call(options.socket_path, "POST", path, json::serialize(body));
    if (!begun.ok()) return report(options, begun);
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    const Answer answer = follow(options, path);
    if (!answer.ok()) return report(options, answer);
    const json::object scan = document(answer);
    const bool done = text(scan, "state") == "done";
    if (options.json) {
        print_document(answer);
    } else if (options.lines) {
        std::cout << text(scan, "registry");
    } else {
        print_scan(scan);
    }
    if (done) return kDone;
    return fail(options, kFailed, "not-scanned",
                "the scan was " + text(scan, "state") + ": " + text(scan, "reason"));
}

}  // namespace gatehouse::ctl
