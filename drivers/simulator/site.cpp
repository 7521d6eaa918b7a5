#include "drivers/simulator/site.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string_view>
#include <tuple>
#include <utility>

#include "daemon/core/poll_plan.hpp"

namespace gatehouse::simulator {
namespace {

constexpr std::size_t kFileBytesMax = 8U * 1024 * 1024;

std::optional<std::string> read_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) {
        return std::nullopt;
    }
    std::string text{std::istreambuf_iterator<char>(stream), {}};
    if (text.size() > kFileBytesMax) {
        return std::nullopt;
    }
    return text;
}

std::optional<int> to_int(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

// The headings of the registry's files as the office may write them (daemon/engine's
// registry_columns.cpp), of the columns that are read here.
const std::string& canonical(const std::string& heading) {
    static const std::map<std::string, std::string, std::less<>> kAliases{
        {"表号", "meter"},
        {"表计编号", "meter"},
        {"仪表编号", "meter"},
        {"房号", "unit"},
        {"户号", "unit"},
        {"房间", "unit"},
        {"房屋编号", "unit"},
        {"类型", "service"},
        {"能源", "service"},
        {"表类型", "service"},
        {"角色", "role"},
        {"表计角色", "role"},
        {"上级表", "parent"},
        {"总表", "parent"},
        {"总线", "bus"},
        {"采集总线", "bus"},
        {"通讯地址", "address"},
        {"地址", "address"},
        {"站号", "address"},
        {"通道", "channel"},
        {"回路", "channel"},
        {"型号", "profile"},
        {"表型号", "profile"},
        {"通讯序列号", "serial"},
        {"序列号", "serial"},
        {"倍率", "multiplier"},
        {"最大电流", "rated_amps"},
        {"额定电流", "rated_amps"},
        {"额定流量", "rated_flow"},
        {"最大流量", "rated_flow"},
        {"期初读数", "opening_register"},
        {"起码", "opening_register"},
        {"状态", "status"},
        {"表计状态", "status"},
        {"房屋状态", "status"},
        {"用途", "use"},
        {"房屋用途", "use"}};
    const auto alias = kAliases.find(heading);
    return alias == kAliases.end() ? heading : alias->second;
}

// A CSV file as rows of named cells. The headings may be those that the office writes.
class Table {
  public:
    Table(const std::string& folder, std::string file) : file_(std::move(file)) {
        const std::string path = (std::filesystem::path(folder) / file_).string();
        const std::optional<std::string> text = read_file(path);
        if (!text) {
            problem_ = path + ": cannot be read";
            return;
        }
        std::optional<std::vector<CsvRow>> rows = parse_csv(*text);
        if (!rows || rows->empty()) {
            problem_ = path + ": is no CSV file with a line of headings";
            return;
        }
        const std::vector<std::string>& head = rows->front().cells;
        for (std::size_t i = 0; i < head.size(); ++i) {
            columns_[canonical(head[i])] = i;
        }
        rows->erase(rows->begin());
        rows_ = std::move(*rows);
    }

    [[nodiscard]] const std::string& problem() const { return problem_; }
    [[nodiscard]] const std::vector<CsvRow>& rows() const { return rows_; }
    [[nodiscard]] bool has(const std::string& column) const { return columns_.contains(column); }
    [[nodiscard]] std::string cell(const CsvRow& row, const std::string& column) const {
        const auto found = columns_.find(column);
        const bool there = found != columns_.end() && found->second < row.cells.size();
        return there ? row.cells[found->second] : std::string{};
    }
    [[nodiscard]] std::string place(const CsvRow& row) const {
        return file_ + ":" + std::to_string(row.line);
    }

  private:
    std::string file_, problem_;
    std::map<std::string, std::size_t> columns_;
    std::vector<CsvRow> rows_;
};

void load_buses(const std::string& file, LoadedSite& loaded) {
    const std::optional<std::string> text = read_file(file);
    if (!text) {
        loaded.problems.push_back(file + ": cannot be read");
        return;
    }
    toml::table parsed;
    try {
        parsed = toml::parse(*text, file);
    } catch (const toml::parse_error& error) {
        const toml::source_position at = error.source().begin;
        loaded.problems.push_back(file + ":" + std::to_string(at.line) + ":" +
                                  std::to_string(at.column) + ": " +
                                  std::string(error.description()));
        return;
    }
    // As the daemon has it: relative to the configuration's folder.
    const auto path = parsed["profiles"]["path"].value_or(std::string{});
    const std::filesystem::path folder = std::filesystem::path(file).parent_path();
    if (!path.empty()) loaded.site.profiles_path = (folder / path).lexically_normal().string();
    const toml::array* buses = parsed["bus"].as_array();
    if (buses == nullptr && parsed["cabinet"].as_array() != nullptr) {
        return;
    }
    if (buses == nullptr) {
        loaded.problems.push_back(file + ": names no [[bus]], so there is nothing to simulate");
        return;
    }
    for (const toml::node& node : *buses) {
        const toml::node_view<const toml::node> bus(node);
        BusSpec spec;
        spec.id = bus["id"].value_or(std::string{});
        std::string problem;
        const auto settings = parse_bus_url(bus["url"].value_or(std::string{}), problem);
        if (spec.id.empty() || !settings) {
            loaded.problems.push_back(file + ":" + std::to_string(node.source().begin.line) +
                                      ": bus '" + spec.id +
                                      "': " + (spec.id.empty() ? "id is missing" : problem));
            continue;
        }
        spec.settings = *settings;
        loaded.site.buses.push_back(std::move(spec));
    }
}

// How each unit lives, by its use and status.
std::map<std::string, Pattern> load_patterns(const std::string& folder) {
    std::map<std::string, Pattern> patterns;
    const Table units(folder, "units.csv");  // absent: every unit is a home
    for (const CsvRow& row : units.rows()) {
        const std::string use = units.cell(row, "use");
        const std::string status = units.cell(row, "status");
        Pattern pattern = use == "shop"     ? Pattern::shop
                          : use == "common" ? Pattern::common
                                            : Pattern::home;
        if (status == "vacant" || status == "not_delivered" || status == "away") {
            pattern = Pattern::vacant;
        }
        patterns[units.cell(row, "unit")] = pattern;
    }
    return patterns;
}

// The optional decimals of a meter's row.
void load_numbers(const Table& table, const CsvRow& row, MeterSpec& meter, LoadedSite& loaded) {
    const auto number = [&](const char* column) -> std::optional<Rational> {
        const std::string text = table.cell(row, column);
        if (text.empty()) {
            return std::nullopt;
        }
        const std::optional<Rational> value = parse_rational(text);
        if (!value || value->numerator < 0) {
            loaded.problems.push_back(table.place(row) + ": " + column + " '" + text +
                                      "' is no plain decimal such as 40 or 0.01");
        }
        return value;
    };
    meter.multiplier = number("multiplier").value_or(Rational{1, 1});
    meter.rated_amps = number("rated_amps");
    meter.rated_flow = number("rated_flow");
    meter.opening_register = number("opening_register");
    if (meter.multiplier.numerator == 0) {
        loaded.problems.push_back(table.place(row) + ": multiplier 0 counts nothing");
        meter.multiplier = {1, 1};
    }
}

void load_meter(const Table& table, const CsvRow& row,
                const std::map<std::string, Pattern>& patterns, LoadedSite& loaded) {
    const std::string bus = table.cell(row, "bus");
    const std::string address = table.cell(row, "address");
    const std::string status = table.cell(row, "status");
    if (bus.empty() || address.empty() || status == "stored" || status == "retired") {
        return;  // read by eye, or not on the wall
    }
    MeterSpec meter;
    meter.id = table.cell(row, "meter");
    const auto& buses = loaded.site.buses;
    const auto found = std::find_if(buses.begin(), buses.end(),
                                    [&](const BusSpec& spec) { return spec.id == bus; });
    const std::optional<int> number = to_int(address);
    const std::string channel = table.cell(row, "channel");
    const std::optional<int> index = channel.empty() ? 0 : to_int(channel);
    if (found == buses.end()) {
        loaded.problems.push_back(table.place(row) + ": bus '" + bus +
                                  "' is not in the configuration");
        return;
    }
    if (meter.id.empty() || !number || *number < 1 || *number > 247 || !index || *index < 0) {
        loaded.problems.push_back(table.place(row) + ": meter, address (1 to 247) or channel " +
                                  "(0 or more) is missing or wrong");
        return;
    }
    meter.bus = static_cast<std::size_t>(found - buses.begin());
    meter.address = *number;
    meter.channel = *index;
    meter.profile = table.cell(row, "profile");
    meter.water = table.cell(row, "service") == "water";
    meter.parent = table.cell(row, "parent");
    meter.serial = table.cell(row, "serial");
    const std::string role = table.cell(row, "role");
    const auto lives = patterns.find(table.cell(row, "unit"));
    const bool dwelling = role.empty() || role == "unit";
    meter.pattern = !dwelling                 ? Pattern::common
                    : lives == patterns.end() ? Pattern::home
                                              : lives->second;
    load_numbers(table, row, meter, loaded);
    loaded.site.meters.push_back(std::move(meter));
}

bool apply_option(const std::string& key, const std::string& value, modbus::BusSettings& settings) {
    if (key == "baud" || key == "line_baud") {
        settings.baud = to_int(value).value_or(-1);
        return settings.baud > 0;
    }
    if (key == "parity" || key == "line_parity") {
        settings.parity = value == "even"  ? modbus::Parity::even
                          : value == "odd" ? modbus::Parity::odd
                                           : modbus::Parity::none;
        return value == "even" || value == "odd" || value == "none";
    }
    if (key == "stop_bits" || key == "line_stop_bits") {
        settings.stop_bits = to_int(value).value_or(0);
        return settings.stop_bits == 1 || settings.stop_bits == 2;
    }
    if (key == "tid") {
        settings.transaction_id_echoed = value != "no";
    } else if (key == "echo") {
        settings.local_echo = value == "yes";
    } else if (key == "dial_in") {
        settings.dial_in = value == "yes";
    }
    return true;  // what else a url says is the daemon's to judge
}

}  // namespace

std::int64_t BusSpec::character_us() const {
    if (settings.baud <= 0) {
        return 0;
    }
    return gatehouse::character_us(settings.baud, settings.data_bits,
                                   settings.parity != modbus::Parity::none, settings.stop_bits);
}

std::optional<modbus::BusSettings> parse_bus_url(const std::string& url, std::string& problem) {
    modbus::BusSettings settings;
    settings.text = url;
    const std::size_t colon = url.find("://");
    const std::string scheme = url.substr(0, colon);
    if (colon == std::string::npos ||
        (scheme != "modbus+tcp" && scheme != "modbus+rtu-tcp" && scheme != "modbus+rtu")) {
        problem = "url '" + url + "' begins with none of modbus+tcp:// modbus+rtu-tcp:// " +
                  "modbus+rtu://";
        return std::nullopt;
    }
    const std::string rest = url.substr(colon + 3);
    const std::size_t mark = rest.find('?');
    const std::string place = rest.substr(0, mark);
    if (scheme == "modbus+rtu") {
        settings.transport = modbus::Transport::rtu;
        settings.device = place;
    } else {
        settings.transport =
            scheme == "modbus+tcp" ? modbus::Transport::tcp : modbus::Transport::rtu_over_tcp;
        settings.baud = 0;
        const std::size_t last = place.rfind(':');
        const bool literal6 =
            last != std::string::npos && place.find(']', last) != std::string::npos;
        const bool has_port = last != std::string::npos && !literal6;
        settings.host = has_port ? place.substr(0, last) : place;
        settings.port = has_port ? to_int(place.substr(last + 1)).value_or(-1) : 502;
        if (settings.host.size() > 2 && settings.host.front() == '[') {
            settings.host = settings.host.substr(1, settings.host.size() - 2);
        }
    }
    if (place.empty() || settings.port < 0 || settings.port > 65535) {
        problem = "url '" + url + "' names no device, or no host and port";
        return std::nullopt;
    }
    std::stringstream options(mark == std::string::npos ? "" : rest.substr(mark + 1));
    for (std::string option; std::getline(options, option, '&');) {
        const std::size_t equals = option.find('=');
        const std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
        if (!apply_option(option.substr(0, equals), value, settings)) {
            problem = "url '" + url + "': '" + option + "' has no such value";
            return std::nullopt;
        }
    }
    return settings;
}

std::optional<std::vector<CsvRow>> parse_csv(const std::string& text) {
    std::vector<CsvRow> rows;
    CsvRow row{1, {}};
    std::string cell;
    bool quoted = false;
    bool any = false;
    int line = 1;
    const auto end_row = [&] {
        row.cells.push_back(std::exchange(cell, {}));
        if (any) {
            rows.push_back(row);
        }
        row = {line, {}};
        any = false;
    };
    std::size_t i = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    for (; i < text.size(); ++i) {
        const char c = text[i];
        line += c == '\n' ? 1 : 0;
        if (quoted) {
            const bool doubled = c == '"' && i + 1 < text.size() && text[i + 1] == '"';
            if (c != '"' || doubled) {
                cell += c;
                i += doubled ? 1U : 0U;
            } else {
                quoted = false;
            }
        } else if (c == '"') {
            quoted = true;
            any = true;
        } else if (c == ',') {
            row.cells.push_back(std::exchange(cell, {}));
            any = true;
        } else if (c == '\n') {
            end_row();
        } else if (c != '\r') {
            cell += c;
            any = true;
        }
    }
    end_row();
    if (quoted) {
        return std::nullopt;
    }
    return rows;
}

LoadedSite load_site(const std::string& config_file, const std::string& registry) {
    LoadedSite loaded;
    load_buses(config_file, loaded);
    if (loaded.problems.empty() && loaded.site.buses.empty()) {
        return loaded;  // key cabinets alone
    }
    const Table meters(registry, "meters.csv");
    if (!meters.problem().empty()) {
        loaded.problems.push_back(meters.problem());
    }
    for (const char* column : {"meter", "service", "bus", "address", "profile"}) {
        if (meters.problem().empty() && !meters.has(column)) {
            loaded.problems.push_back(std::string("meters.csv:1: column '") + column +
                                      "' is missing");
        }
    }
    if (!loaded.problems.empty()) {
        return loaded;
    }
    const std::map<std::string, Pattern> patterns = load_patterns(registry);
    std::set<std::string> ids;
    std::map<std::tuple<std::size_t, int, int>, std::string> places;
    for (const CsvRow& row : meters.rows()) {
        const std::size_t before = loaded.site.meters.size();
        load_meter(meters, row, patterns, loaded);
        if (loaded.site.meters.size() == before) {
            continue;
        }
        const MeterSpec& meter = loaded.site.meters.back();
        if (!ids.insert(meter.id).second) {
            loaded.problems.push_back(meters.place(row) + ": meter '" + meter.id +
                                      "' stands there twice");
        }
        const auto [other, fresh] =
            places.emplace(std::tuple{meter.bus, meter.address, meter.channel}, meter.id);
        if (!fresh) {
            loaded.problems.push_back(meters.place(row) + ": meter '" + meter.id +
                                      "' has the bus, address and channel of '" + other->second +
                                      "'");
        }
    }
    return loaded;
}

}  // namespace gatehouse::simulator
