// A day on which many flats are handed over: one file of lines becomes one record a flat. All of it
// is read before anything is sent; each sheet is one request under a key made of its words, so that
// the same file again writes nothing twice.
#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <sstream>

#include "daemon/core/text.hpp"
#include "daemon/ctl/output.hpp"
#include "daemon/ctl/table.hpp"

namespace gatehouse::ctl {

namespace json = boost::json;

namespace {

constexpr std::size_t kFileMax = 8U << 20U;
constexpr std::array kColumns{"unit",  "direction", "at",      "part", "item",
                              "value", "receiver",  "witness", "note"};
constexpr std::array kOfSheet{"direction", "at", "receiver", "witness", "note"};

struct Line {
    int number = 1;
    std::vector<std::string> cells;
};

// RFC 4180; nothing where a quote is never closed.
std::optional<std::vector<Line>> lines_of(std::string_view text) {
    std::vector<Line> lines;
    Line line;
    std::string cell;
    int number = 1;
    bool quoted = false;
    const auto end_cell = [&] {
        line.cells.emplace_back(trim(cell));
        cell.clear();
    };
    const auto end_line = [&] {
        end_cell();
        const bool blank = std::all_of(line.cells.begin(), line.cells.end(),
                                       [](const std::string& one) { return one.empty(); });
        if (!blank) lines.push_back(std::move(line));
        line = {number + 1, {}};
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"')
            cell += text[++i];
        else if (c == '"' && (quoted || trim(cell).empty()))
            quoted = !quoted;
        else if (quoted)
            cell += c;
        else if (c == ',')
            end_cell();
        else if (c == '\n')
            end_line();
        else if (c != '\r')
            cell += c;
        if (c == '\n') ++number;
        if (c == '\n' && !quoted) line.number = number;
    }
    if (quoted) return std::nullopt;
    if (!cell.empty() || !line.cells.empty()) end_line();
    return lines;
}

struct Sheet {
    int line = 1;
    BodyBuilder body;
};

// The sheets by flat, in the order of the file.
class Reader {
  public:
    // Empty: it was read; else what is wrong, where, and what to do.
    std::string run(const std::vector<Line>& lines) {
        if (lines.empty()) return "is empty; its first line names the columns: " + columns();
        for (const std::string& name : lines.front().cells) {
            if (std::find(kColumns.begin(), kColumns.end(), name) == kColumns.end())
                return at(lines.front()) + "no column `" + name + "`; it has " + columns();
            heads_.push_back(name);
        }
        for (std::size_t i = 1; i < lines.size(); ++i)
            if (std::string problem = take(lines[i]); !problem.empty())
                return at(lines[i]) + problem;
        return sheets.empty() ? "names no flat" : "";
    }
    std::vector<std::pair<std::string, Sheet>> sheets;

  private:
    static std::string at(const Line& line) { return "line " + std::to_string(line.number) + ": "; }
    static std::string columns() {
        std::string all;
        for (const char* name : kColumns) all += (all.empty() ? "" : ", ") + std::string(name);
        return all;
    }
    [[nodiscard]] std::string cell(const Line& line, std::string_view name) const {
        for (std::size_t i = 0; i < heads_.size() && i < line.cells.size(); ++i)
            if (heads_[i] == name) return line.cells[i];
        return "";
    }
    std::string take(const Line& line) {
        if (line.cells.size() > heads_.size()) return "has more cells than the first line";
        const std::string unit = cell(line, "unit");
        if (unit.empty()) return "unit is missing";
        const auto [known, fresh] = places_.try_emplace(unit, sheets.size());
        if (fresh) sheets.emplace_back(unit, Sheet{line.number, {}});
        json::object& body = sheets[known->second].second.body.object;
        for (const char* name : kOfSheet) {
            const std::string said = cell(line, name);
            if (said.empty()) continue;
            const auto* before = body.if_contains(name);
            if (before != nullptr && *before != json::value(said))
                return std::string(name) + " `" + said + "` differs from the line before of " +
                       unit + "; one flat has one sheet";
            body[name] = said;
        }
        const std::string part = cell(line, "part"), item = cell(line, "item");
        if (part.empty() && item.empty()) return "";
        const char* list = part == "reading"     ? "readings"
                           : part == "key"       ? "keys"
                           : part == "checklist" ? "checklist"
                                                 : nullptr;
        if (list == nullptr) return "part `" + part + "` is none of reading, key, checklist";
        if (item.empty())
            return "item is missing: the meter, the kind of key, or what was looked at";
        json::value& all = body[list];
        if (!all.is_object()) all = json::object();
        if (!all.get_object().emplace(item, cell(line, "value")).second)
            return part + " `" + item + "` of " + unit + " stands there twice; keep one";
        return "";
    }

    std::vector<std::string> heads_;
    std::map<std::string, std::size_t> places_;
};

// FNV-1a of what is sent: another sheet under it would be refused and not lost.
std::string key_of(const std::string& unit, const std::string& body) {
    std::uint64_t hash = 14'695'981'039'346'656'037U;
    for (const char c : unit + "\n" + body)
        hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211U;
    std::ostringstream text;
    text << "handover-" << std::hex << hash;
    return text.str();
}

std::optional<std::string> bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream bytes;
    if (!(file && bytes << file.rdbuf()) || bytes.str().size() > kFileMax) return std::nullopt;
    return bytes.str();
}

struct Tally {
    int written = 0, known = 0;
    json::array refused;
};

int print_tally(const Options& options, const Tally& tally, int result) {
    if (options.json) {
        json::object whole;
        whole["written"] = tally.written;
        whole["known"] = tally.known;
        whole["refused"] = tally.refused;
        std::cout << json::serialize(whole) << "\n";
    } else {
        std::cout << "written    " << tally.written << "\nknown      " << tally.known
                  << "\nrefused    " << tally.refused.size() << "\n";
    }
    return result;
}

}  // namespace

int handovers(const Options& options) {
    const auto bytes = bytes_of(options.subject);
    if (!bytes)
        return fail(options, kBadInput, "file",
                    options.subject + " cannot be read, or is larger than 8 MiB");
    const std::string_view text = without_bom(*bytes);
    if (!is_utf8(text))
        return fail(options, kBadInput, "file", options.subject + " is no UTF-8; save it as that");
    const auto lines = lines_of(text);
    Reader reader;
    const std::string problem = lines ? reader.run(*lines) : "a quote is never closed";
    if (!problem.empty()) return fail(options, kBadInput, "file", options.subject + ", " + problem);
    Tally tally;
    int result = kDone;
    for (auto& [unit, sheet] : reader.sheets) {
        sheet.body.field("by", options.by).field("second", options.second);
        const std::string body = sheet.body.take();
        const Answer answer =
            call(options.socket_path, "POST", "/api/v1/units/" + encode(unit) + "/handover", body,
                 {{"Idempotency-Key", key_of(unit, body)}});
        if (answer.status == 201) ++tally.written;
        if (answer.status == 200) ++tally.known;
        if (answer.ok()) continue;
        std::cerr << options.subject << ", line " << sheet.line << ", " << unit << ":\n";
        result = std::max(result, report(options, answer));
        tally.refused.emplace_back(unit);
    }
    return print_tally(options, tally, result);
}

}  // namespace gatehouse::ctl
