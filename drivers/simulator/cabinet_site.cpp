#include "drivers/simulator/cabinet_site.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>

namespace gatehouse::simulator {
namespace {

constexpr int kSlotsWithoutKeys = 8;  // where keys.csv names none of a board's

std::optional<toml::table> parse_file(const std::string& path, std::string& problem) {
    try {
        return toml::parse_file(path);
    } catch (const toml::parse_error& error) {
        const auto& at = error.source().begin;
        problem = path + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " +
                  std::string(error.description());
        return std::nullopt;
    }
}

// The rows of a registry file by the names of its columns, English or the office's.
std::vector<std::map<std::string, std::string>> rows_of(const std::string& path) {
    static const std::map<std::string, std::string> kAliases{
        {"钥匙柜", "cabinet"}, {"柜号", "cabinet"}, {"柜位", "slot"},  {"槽位", "slot"},
        {"标签卡", "tag"},     {"电子标签", "tag"}, {"工号", "staff"}, {"员工编号", "staff"},
        {"卡号", "cards"},     {"门禁卡", "cards"}};
    std::ifstream stream(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    const auto parsed = parse_csv(text);
    std::vector<std::map<std::string, std::string>> rows;
    if (!parsed || parsed->empty()) return rows;
    const std::vector<std::string>& head = parsed->front().cells;
    for (auto row = parsed->begin() + 1; row != parsed->end(); ++row) {
        std::map<std::string, std::string> named;
        for (std::size_t i = 0; i < std::min(head.size(), row->cells.size()); ++i) {
            const auto alias = kAliases.find(head[i]);
            named[alias == kAliases.end() ? head[i] : alias->second] = row->cells[i];
        }
        rows.push_back(std::move(named));
    }
    return rows;
}

template <class Number>
std::optional<Number> to_number(const std::string& text, int base) {
    Number value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

// Cards that a board can show; others are only in the registry.
std::vector<CabinetPerson> people_of(const std::string& registry) {
    std::vector<CabinetPerson> people;
    for (auto& row : rows_of((std::filesystem::path(registry) / "staff.csv").string())) {
        std::stringstream cards(row["cards"]);
        for (std::string card; std::getline(cards, card, ';');)
            if (card.starts_with('w')) people.push_back({row["staff"], card});
    }
    return people;
}

void take_keys(const std::string& registry, CabinetSpec& cabinet) {
    for (auto& row : rows_of((std::filesystem::path(registry) / "keys.csv").string())) {
        const auto slot = to_number<int>(row["slot"], 10);
        if (row["cabinet"] != cabinet.id || !slot || *slot < 1) continue;
        cabinet.slots[*slot] = to_number<std::uint64_t>(row["tag"], 16).value_or(0);
    }
}

// Its own reading of the profile: the driver's is what it is to prove.
std::string take_profile(const std::vector<std::string>& folders, CabinetSpec& cabinet) {
    std::string path;
    for (const std::string& folder : folders) {
        const auto file = std::filesystem::path(folder) / (cabinet.profile + ".toml");
        if (std::filesystem::exists(file)) path = file.string();
    }
    if (path.empty()) return "cabinet " + cabinet.id + ": no profile '" + cabinet.profile + "'";
    std::string problem;
    const auto file = parse_file(path, problem);
    if (!file) return problem;
    cabinet.board = (*file)["kind"].value_or(std::string{}) == "kcm";
    if (cabinet.board) return "";
    const auto inputs = (*file)["inputs"];
    cabinet.function = inputs["function"].value_or(2);
    cabinet.first = inputs["first"].value_or(0);
    cabinet.door_input = inputs["door"].value_or(-1);
    cabinet.door_inverted = inputs["door_inverted"].value_or(false);
    if (const toml::array* slots = inputs["slots"].as_array())
        for (const toml::node& slot : *slots) cabinet.inputs.push_back(slot.value_or(0));
    for (const char level : inputs["invert"].value_or(std::string{}))
        if (level != ' ') cabinet.inverted.push_back(level == '1');
    cabinet.inverted.resize(cabinet.inputs.size());
    return "";
}

std::size_t bus_for(const modbus::BusSettings& settings, const std::string& id, Site& site) {
    const auto found = std::find_if(site.buses.begin(), site.buses.end(), [&](const BusSpec& bus) {
        return bus.settings.transport == settings.transport &&
               bus.settings.device == settings.device && bus.settings.host == settings.host &&
               bus.settings.port == settings.port;
    });
    if (found != site.buses.end()) return static_cast<std::size_t>(found - site.buses.begin());
    site.buses.push_back({id, settings});
    return site.buses.size() - 1;
}

int address_of(const std::string& url) {
    const std::size_t at = url.find("address=");
    if (at == std::string::npos) return 1;
    const std::string rest = url.substr(at + 8);
    return to_number<int>(rest.substr(0, rest.find('&')), 10).value_or(1);
}

// [[cabinet]] id, log, clock_off_s, bounce_ms, visits_per_hour; [[cabinet.act]] at_ms, do.
std::string take_behaviour(const toml::table& table, const std::string& file, Site& site) {
    const std::string id = table["id"].value_or(std::string{});
    const auto found = std::find_if(site.cabinets.begin(), site.cabinets.end(),
                                    [&](const CabinetSpec& cabinet) { return cabinet.id == id; });
    if (found == site.cabinets.end())
        return file + ": cabinet '" + id + "' is not in the configuration";
    for (const auto& [key, node] : table) {
        const std::string name(key.str());
        const auto number = node.value_exact<std::int64_t>();
        if (name == "id" || name == "act") continue;
        if (!number || (*number < 0 && name != "clock_off_s"))
            return file + ": cabinet " + id + ": " + name + " must be a whole number";
        if (name == "log")
            found->log_size = static_cast<std::size_t>(std::max<std::int64_t>(*number, 1));
        else if (name == "clock_off_s")
            found->clock_off_ms = *number * 1'000;
        else if (name == "bounce_ms")
            found->bounce_ms = *number;
        else if (name == "visits_per_hour")
            found->visits_per_hour = *number;
        else
            return file + ": cabinet " + id + ": unknown key " + name +
                   "; known are id, log, clock_off_s, bounce_ms, visits_per_hour, act";
    }
    if (const toml::array* acts = table["act"].as_array()) {
        for (const toml::node& node : *acts) {
            const toml::node_view<const toml::node> act(node);
            found->acts.push_back(
                {act["at_ms"].value_or(std::int64_t{0}), act["do"].value_or(std::string{})});
        }
    }
    return "";
}

}  // namespace

std::vector<std::string> load_cabinets(const std::string& config_file, const std::string& registry,
                                       const std::vector<std::string>& profiles,
                                       const std::string& behaviour, Site& site) {
    std::vector<std::string> problems;
    std::string problem;
    const auto config = parse_file(config_file, problem);
    if (!config) return {problem};
    const std::vector<CabinetPerson> people = people_of(registry);
    const toml::array* cabinets = (*config)["cabinet"].as_array();
    for (std::size_t i = 0; cabinets != nullptr && i < cabinets->size(); ++i) {
        const toml::node_view<const toml::node> table(*cabinets->get(i));
        const std::string url = table["url"].value_or(std::string{});
        if (!url.starts_with("modbus+")) continue;
        CabinetSpec cabinet;
        cabinet.id = table["id"].value_or(std::string{});
        cabinet.profile = table["profile"].value_or(std::string{});
        cabinet.address = address_of(url);
        cabinet.people = people;
        const auto settings = parse_bus_url(url, problem);
        if (!settings) {
            problems.push_back(config_file + ": cabinet " + cabinet.id + ": " + problem);
            continue;
        }
        problem = take_profile(profiles, cabinet);
        if (!problem.empty()) {
            problems.push_back(problem);
            continue;
        }
        take_keys(registry, cabinet);
        for (const int slot : cabinet.inputs)
            if (slot > 0) cabinet.slots.emplace(slot, 0);
        const bool unnamed = cabinet.slots.empty();
        for (int slot = 1; unnamed && slot <= kSlotsWithoutKeys; ++slot) cabinet.slots[slot] = 0;
        cabinet.bus = bus_for(*settings, cabinet.id, site);
        site.cabinets.push_back(std::move(cabinet));
    }
    if (behaviour.empty() || !problems.empty()) return problems;
    const auto file = parse_file(behaviour, problem);
    if (!file) return {problem};
    const toml::array* tables = (*file)["cabinet"].as_array();
    for (std::size_t i = 0; tables != nullptr && i < tables->size(); ++i) {
        const toml::table* table = tables->get(i)->as_table();
        problem = table == nullptr ? behaviour + ": write [[cabinet]]"
                                   : take_behaviour(*table, behaviour, site);
        if (!problem.empty()) problems.push_back(problem);
    }
    return problems;
}

}  // namespace gatehouse::simulator
