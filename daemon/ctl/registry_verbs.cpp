// import and export: folders of the caller's become the files of one request and back. The daemon
// is sandboxed and reads no folder of anybody's.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <system_error>

#include "daemon/core/base64.hpp"
#include "daemon/core/units.hpp"
#include "daemon/ctl/output.hpp"

namespace gatehouse::ctl {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

constexpr std::uintmax_t kFolderBytesMax = 24U * 1024 * 1024;  // fits in 32 MiB as base64

int bad_input(const Options& options, const std::string& line) {
    return fail(options, kBadInput, "input", line);
}

// Every *.csv of the folder and every *.toml of its tariffs/, by name; others are none of ours.
// Empty `problem`: all were read.
std::map<std::string, std::string> read_folder(const fs::path& folder, std::string& problem) {
    std::map<std::string, std::string> files;
    std::uintmax_t total = 0;
    const auto take = [&](const fs::path& where, const char* extension, const std::string& prefix) {
        std::error_code error;
        for (fs::directory_iterator it(where, error), end; !error && it != end;
             it.increment(error)) {
            // A name in capitals is sent as well: the daemon says what it should be called.
            std::string ending = it->path().extension().string();
            for (char& c : ending) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
            if (ending != extension || !it->is_regular_file(error)) continue;
            std::ifstream stream(it->path(), std::ios::binary);
            std::string bytes((std::istreambuf_iterator<char>(stream)),
                              std::istreambuf_iterator<char>());
            if (!stream.good() && !stream.eof()) {
                problem = it->path().string() + ": cannot be read";
                return;
            }
            total += bytes.size();
            if (total > kFolderBytesMax) {
                problem = folder.string() + ": the files are larger than 24 MiB together";
                return;
            }
            files[prefix + it->path().filename().string()] = std::move(bytes);
        }
        if (error) problem = where.string() + ": " + error.message();
    };
    take(folder, ".csv", "");
    std::error_code ignored;
    if (problem.empty() && fs::is_directory(folder / "tariffs", ignored)) {
        take(folder / "tariffs", ".toml", "tariffs/");
    }
    return files;
}

// Counts as the daemon gives them, whether a number or an object by table.
std::string count_text(const json::object& result, const char* name) {
    const json::value* value = result.if_contains(name);
    if (value == nullptr) return "0";
    if (!value->is_object()) return text(result, name);
    std::string line;
    for (const auto& member : value->get_object()) {
        if (!line.empty()) line += ", ";
        line += json::serialize(member.value()) + " " + std::string(member.key());
    }
    return line.empty() ? "0" : line;
}

// True where nothing of the name could lead out of the folder.
bool stays_inside(const std::string& name) {
    const fs::path path(name);
    return !path.is_absolute() && std::none_of(path.begin(), path.end(),
                                               [](const fs::path& part) { return part == ".."; });
}

// Whole or not at all: a file that is half written must never be imported again.
// All of the files or none: each is written aside first, and they take their names once the last
// one stands. Not empty: why nothing came of it, or which of them are missing.
std::string write_files(const std::map<fs::path, std::string>& files) {
    const auto aside = [](const fs::path& path) { return fs::path(path.string() + ".new"); };
    std::error_code error;
    const auto forget = [&] {
        for (const auto& file : files) fs::remove(aside(file.first), error);
    };
    for (const auto& [path, bytes] : files) {
        std::ofstream stream(aside(path), std::ios::binary | std::ios::trunc);
        stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        stream.close();
        if (stream) continue;
        forget();
        return path.string() +
               " cannot be written; is the disk full or the folder read-only? No file was changed";
    }
    std::string missing;
    for (const auto& [path, bytes] : files) {
        fs::rename(aside(path), path, error);
        if (error) missing += (missing.empty() ? "" : ", ") + path.string();
    }
    forget();
    return missing.empty() ? ""
                           : "the export is incomplete: these are not the new ones: " + missing;
}

std::string with_account(const json::object& totals, const char* name) {
    const json::object& one = member(totals, name);
    return one.empty()
               ? std::string()
               : ", " + std::string(name) + " " + text(one, "account") + " " + text(one, "amount");
}

// What two people sign before a house goes live: the totals, and who is charged how much first.
void print_golive(const json::object& result) {
    const json::object& openings = member(result, "openings");
    if (text(openings, "accounts") != "0" && !openings.empty()) {
        std::cout << "opening balances: " << text(openings, "accounts") << " accounts, sum "
                  << text(openings, "sum") << with_account(openings, "highest")
                  << with_account(openings, "lowest") << "\n";
    }
    const json::array& charges = list(result, "first_charges");
    if (charges.empty()) return;
    for (const json::value& item : charges) {
        const json::object& charge = item.get_object();
        const std::string amount = text(charge, "amount");
        std::cout << "first charge: " << text(charge, "account") << ", " << text(charge, "meter")
                  << " from " << text(charge, "opening_register") << " to "
                  << (amount.empty() ? "its first reading, not known yet"
                                     : text(charge, "register") + ": " + amount)
                  << "\n";
    }
    const json::object& total = member(result, "first_charge_total");
    std::cout << "first charges: " << text(total, "accounts") << " accounts, sum "
              << text(total, "sum") << with_account(total, "highest") << "; "
              << text(total, "not_read") << " meters not read yet\n";
}

// "money: a-101 price_settlement -1.43 (15.85 -> 17.28; fees 2.00 -> 3.00)"
void print_money(const json::value& item) {
    if (!item.is_object()) {
        std::cout << "money: " << (item.is_string() ? item.get_string().c_str() : "") << "\n";
        return;
    }
    const json::object& row = item.get_object();
    std::cout << "money: " << text(row, "account") << " " << text(row, "kind") << " "
              << text(row, "amount");
    if (!text(row, "at").empty()) std::cout << " at " << text(row, "at");
    if (!text(row, "old").empty()) {
        std::cout << " (charged " << text(row, "old") << " -> " << text(row, "new");
        for (const char* part : {"usage", "minimum", "fees"}) {
            const json::object& both = member(row, part);
            if (!both.empty())
                std::cout << "; " << part << " " << text(both, "old") << " -> "
                          << text(both, "new");
        }
        std::cout << ")";
    }
    std::cout << "\n";
}

void print_settlement(const json::object& result) {
    const json::object& sums = member(result, "settlement");
    if (sums.empty()) return;
    std::cout << "price settlements: " << text(sums, "moved") << " of " << text(sums, "accounts")
              << " accounts, charged " << text(sums, "old") << " -> " << text(sums, "new")
              << ", their balances move by " << text(sums, "amount") << "\n";
}

}  // namespace

int import_registry(const Options& options) {
    std::error_code error;
    if (!fs::is_directory(options.subject, error)) {
        return bad_input(options, options.subject + " is no folder");
    }
    std::string problem;
    const auto files = read_folder(options.subject, problem);
    if (!problem.empty()) return bad_input(options, problem);
    if (files.empty()) {
        return bad_input(options, options.subject + " holds no *.csv and no tariffs/*.toml");
    }
    BodyBuilder body;
    json::object encoded;
    for (const auto& [name, bytes] : files) encoded[name] = base64_encode(bytes);
    body.object["files"] = std::move(encoded);
    body.field("by", options.by).field("second", options.second);
    body.field("reason", options.reason).field("control_sum", options.control_sum);
    if (!options.control_accounts.empty()) {
        const auto count = parse_decimal(options.control_accounts, 0);
        if (!count) {
            return bad_input(
                options, "--control-accounts " + options.control_accounts + " is no whole number");
        }
        body.object["control_accounts"] = *count;
    }
    const Answer answer =
        call(options.socket_path, "POST",
             std::string("/api/v1/registry") + (options.dry_run ? "?dry_run=1" : ""), body.take());
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object result = document(answer);
    std::cout << (options.dry_run ? "would add      " : "added      ")
              << count_text(result, "added") << "\n"
              << (options.dry_run ? "would change   " : "changed    ")
              << count_text(result, "changed") << "\n"
              << (options.dry_run ? "would leave    " : "unchanged  ")
              << count_text(result, "unchanged") << "\n";
    for (const json::value& line : list(result, "money")) print_money(line);
    print_settlement(result);
    print_golive(result);
    for (const json::value& line : list(result, "warnings")) {
        std::cout << "warning: "
                  << (line.is_string() ? std::string(line.get_string().c_str())
                                       : json::serialize(line))
                  << "\n";
    }
    return kDone;
}

int export_registry(const Options& options) {
    const Answer answer = call(options.socket_path, "GET", "/api/v1/registry");
    if (!answer.ok()) return report(options, answer);
    const json::object whole = document(answer);
    const fs::path folder(options.subject);
    std::error_code error;
    fs::create_directories(folder / "tariffs", error);
    if (error) return bad_input(options, (folder / "tariffs").string() + ": " + error.message());
    std::map<fs::path, std::string> files;
    for (const auto& member : member(whole, "files")) {
        const std::string name = member.key();
        const auto bytes = member.value().is_string()
                               ? base64_decode(member.value().get_string().c_str())
                               : std::nullopt;
        if (!bytes || !stays_inside(name)) {
            return fail(options, kFailed, "file",
                        "the daemon sent a file " + name + " that cannot be written");
        }
        files[folder / name] = *bytes;
    }
    if (const std::string why = write_files(files); !why.empty())
        return fail(options, kFailed, "file", why);
    if (options.json) return print_document(answer);
    std::cout << files.size() << " files written to " << options.subject << "\n";
    return kDone;
}

}  // namespace gatehouse::ctl
