// Reading a profile from TOML: every problem of a file at once, with its place.
#include <algorithm>
#include <set>
#include <utility>

#include "daemon/core/text.hpp"
#include "drivers/modbus/decode.hpp"
#include "drivers/modbus/profile_sections.hpp"

namespace gatehouse::modbus {
namespace {

constexpr int kChannelsMax = 64;
constexpr int kRegistersMax = 125;
constexpr std::size_t kValuesMax = 64;
constexpr int kTextRegistersMax = 20;
constexpr int kPauseMaxMs = 10'000;

struct TypeFact {
    const char* name;
    Encoding encoding;
    int registers;  // 0: the file says how many
};
constexpr TypeFact kTypes[] = {
    {"u16", Encoding::unsigned_, 1}, {"u32", Encoding::unsigned_, 2},
    {"u64", Encoding::unsigned_, 4}, {"s16", Encoding::signed_, 1},
    {"s32", Encoding::signed_, 2},   {"s64", Encoding::signed_, 4},
    {"f32", Encoding::float_, 2},    {"f64", Encoding::float_, 4},
    {"bcd16", Encoding::bcd, 1},     {"bcd32", Encoding::bcd, 2},
    {"bcd64", Encoding::bcd, 4},     {"ascii", Encoding::ascii, 0},
    {"chars", Encoding::chars, 0},   {"bit", Encoding::bit, 1},
};

class ProfileReader {
  public:
    ProfileReader(const std::string& file, std::vector<Problem>& problems)
        : reader_(file, problems) {}

    std::shared_ptr<Profile> read(const toml::table& root) {
        reader_.check_keys(
            root, {"schema", "id",       "maker",  "model",    "label",    "service",    "source",
                   "map",    "conflict", "side",   "channels", "framing",  "billing",    "meter",
                   "read",   "value",    "factor", "clock",    "identify", "prepayment", "test"});
        if (reader_.number(root, "schema", 1, 1, 0) == 0 && root.get("schema") == nullptr) {
            reader_.problem(root, "\"schema\" is missing; write schema = 1");
        }
        read_head(root);
        read_limits(root);
        for (const toml::table* table : reader_.tables(root, "factor")) read_factor(*table);
        for (const toml::table* table : reader_.tables(root, "value")) read_value(*table);
        profile_->clock = read_clock(reader_, root);
        if (profile_->clock) add_clock_value(*root.get_as<toml::table>("clock"));
        profile_->prepayment = read_prepayment(reader_, root, *profile_);
        profile_->identify = read_identify(
            reader_, root, [this](const toml::table& table) { return read_part(table, table); });
        read_physics(root);
        read_billing(root);
        for (const toml::table* table : reader_.tables(root, "test")) read_test(*table);
        if (profile_->tests.size() < 2) {
            reader_.problem(root, "a profile needs at least two [[test]] vectors");
        }
        return profile_;
    }

  private:
    void read_head(const toml::table& root) {
        Profile& p = *profile_;
        p.id = reader_.text(root, "id", true);
        if (!p.id.empty() && !is_identifier(p.id)) {
            reader_.problem(*root.get("id"), "\"" + p.id + "\" is no identifier");
        }
        p.maker = reader_.text(root, "maker", true);
        p.model = reader_.text(root, "model", true);
        p.label = reader_.text(root, "label", false);
        p.source = reader_.text(root, "source", true);
        p.framings = read_framings(reader_, root);
        if (!p.framings.empty()) p.framing = to_string(p.framings.front());
        p.conflict = reader_.text(root, "conflict", false);
        p.service = reader_.word<Service>(
            root, "service", {{"electricity", Service::electricity}, {"water", Service::water}},
            Service::electricity, true);
        p.map_status = reader_.word<MapStatus>(root, "map",
                                               {{"checked", MapStatus::checked},
                                                {"document", MapStatus::document},
                                                {"conflict", MapStatus::conflict}},
                                               MapStatus::document, true);
        if (p.map_status == MapStatus::conflict && p.conflict.empty()) {
            reader_.problem(root, "map = \"conflict\" needs \"conflict\": what the sources say");
        }
        p.side = reader_.word<Side>(
            root, "side",
            {{"direct", Side::direct}, {"primary", Side::primary}, {"secondary", Side::secondary}},
            Side::direct, false);
        p.channels = reader_.number(root, "channels", 1, kChannelsMax, 1);
    }

    // The clock is read and shown as a value; its parts lie in ClockLayout.
    void add_clock_value(const toml::table& table) {
        Value value;
        value.line = static_cast<int>(table.source().begin.line);
        value.measurement = Measurement::clock;
        Part part;
        part.field.span = profile_->clock->span;
        value.parts.push_back(std::move(part));
        check_field(table, value.parts.front().field);
        profile_->values.push_back(std::move(value));
    }

    void read_limits(const toml::table& root) {
        const toml::node* node = root.get("read");
        if (node == nullptr) return;
        const toml::table* table = node->as_table();
        if (table == nullptr) {
            reader_.problem(*node, "\"read\" must be a table");
            return;
        }
        reader_.check_keys(*table, {"block_limit", "fill_holes", "pause_ms", "forbidden"});
        BlockRules& rules = profile_->rules;
        rules.registers_max =
            reader_.number(*table, "block_limit", 1, kRegistersMax, kRegistersMax);
        rules.fill_holes = reader_.flag(*table, "fill_holes", true);
        profile_->pause_ms = reader_.number(*table, "pause_ms", 0, kPauseMaxMs, 0);
        for (const toml::table* span : reader_.tables(*table, "forbidden")) {
            reader_.check_keys(*span, {"function", "register", "count"});
            rules.forbidden.push_back({function(*span),
                                       reader_.number(*span, "register", 0, 0xFFFF, 0),
                                       reader_.number(*span, "count", 1, 0x10000, 1)});
        }
    }

    void read_physics(const toml::table& root) {
        MeterTraits& traits = profile_->traits_;
        traits.status = profile_->map_status;
        traits.reads_serial = profile_->find(Measurement::serial) != nullptr;
        traits.primary_side = profile_->side == Side::primary;
        const toml::node* node = root.get("meter");
        const toml::table* table = node == nullptr ? nullptr : node->as_table();
        if (table == nullptr) {
            reader_.problem(root, "[meter] is missing; it names at least step");
            return;
        }
        reader_.check_keys(
            *table, {"phases", "nominal_voltage", "rated_amps", "rated_flow", "rollover", "step"});
        traits.phases = reader_.number(*table, "phases", 1, 3, 1);
        traits.nominal_voltage_v = reader_.number(*table, "nominal_voltage", 50, 1'000, 230);
        traits.rated_amps = reader_.ratio(*table, "rated_amps");
        traits.rated_flow = reader_.ratio(*table, "rated_flow");
        traits.rollover = reader_.ratio(*table, "rollover");
        if (const auto step = reader_.ratio(*table, "step")) {
            traits.step = *step;
        } else if (table->get("step") == nullptr) {
            reader_.problem(*table, "\"step\" is missing: the smallest move of the register");
        }
    }

    void read_billing(const toml::table& root) {
        const std::string name = reader_.text(root, "billing", true);
        const auto measurement = measurement_from(name);
        if (!measurement || profile_->find(*measurement) == nullptr) {
            if (!name.empty()) {
                reader_.problem(*root.get("billing"),
                                "\"" + name + "\" is none of the values of this profile");
            }
            return;
        }
        profile_->billing = *measurement;
    }

    RegisterTable function(const toml::table& table) { return read_function(reader_, table); }

    // `defaults` gives what a part does not say itself.
    Part read_part(const toml::table& table, const toml::table& defaults) {
        const auto from = [&](const char* key) -> const toml::table& {
            return table.get(key) != nullptr ? table : defaults;
        };
        Part part;
        Field& field = part.field;
        field.span.table = function(from("function"));
        if (table.get("register") == nullptr) reader_.problem(table, "\"register\" is missing");
        field.span.first = reader_.number(table, "register", 0, 0xFFFF, 0);
        field.stride = reader_.number(from("stride"), "stride", 0, 1'000, 0);
        std::vector<std::pair<std::string, const TypeFact*>> types;
        for (const TypeFact& fact : kTypes) types.emplace_back(fact.name, &fact);
        const TypeFact* type =
            reader_.word<const TypeFact*>(from("type"), "type", types, &kTypes[0], true);
        field.encoding = type->encoding;
        field.span.count = type->registers != 0
                               ? type->registers
                               : reader_.number(table, "count", 1, kTextRegistersMax, 1);
        field.order = reader_.word<WordOrder>(from("order"), "order",
                                              {{"ABCD", WordOrder::abcd},
                                               {"CDAB", WordOrder::cdab},
                                               {"BADC", WordOrder::badc},
                                               {"DCBA", WordOrder::dcba}},
                                              WordOrder::abcd, false);
        part.scale = reader_.ratio(table, "scale").value_or(Rational{1, 1});
        read_sentinels(from("not_available"), field);
        check_field(table, field);
        return part;
    }

    void read_sentinels(const toml::table& table, Field& field) {
        const toml::node* node = table.get("not_available");
        if (node == nullptr) return;
        const toml::array* array = node->as_array();
        if (array == nullptr) {
            reader_.problem(*node, "\"not_available\" must be a list like [\"FFFF FFFF\"]");
            return;
        }
        for (const toml::node& entry : *array) {
            const auto text = entry.value_exact<std::string>();
            const auto words = text ? parse_words(*text) : std::nullopt;
            if (!words || static_cast<int>(words->size()) != field.span.count) {
                reader_.problem(entry, "it must be " + std::to_string(field.span.count) +
                                           " words of four hexadecimal digits, as on the wire");
                continue;
            }
            field.not_available.push_back(*words);
        }
    }

    void check_field(const toml::table& table, const Field& field) {
        const bool bits = field.span.table == RegisterTable::coils ||
                          field.span.table == RegisterTable::discrete_inputs;
        if (bits != (field.encoding == Encoding::bit)) {
            reader_.problem(table, "functions 1 and 2 read type \"bit\", and nothing else does");
        }
        const int last = field.span.end() + field.stride * (profile_->channels - 1);
        if (last > 0x10000) reader_.problem(table, "the registers end beyond 65535");
        if (!bits && field.span.count > profile_->rules.registers_max) {
            reader_.problem(table, "the value is longer than block_limit");
        }
        for (int channel = 0; channel < profile_->channels; ++channel) {
            const int first = field.span.first + field.stride * channel;
            for (const RegisterSpan& span : profile_->rules.forbidden) {
                if (span.table == field.span.table && first < span.end() &&
                    span.first < first + field.span.count) {
                    reader_.problem(table, "the value lies in a forbidden range");
                    return;
                }
            }
        }
    }

    void read_factor(const toml::table& table) {
        reader_.check_keys(table, {"name", "kind", "table", "function", "register", "stride",
                                   "type", "count", "order", "scale", "not_available"});
        Factor factor;
        factor.name = reader_.text(table, "name", true);
        factor.kind = reader_.word<Factor::Kind>(table, "kind",
                                                 {{"ratio", Factor::Kind::ratio},
                                                  {"table", Factor::Kind::table},
                                                  {"exponent", Factor::Kind::exponent}},
                                                 Factor::Kind::ratio, true);
        factor.part = read_part(table, table);
        const toml::node* entries = table.get("table");
        if ((factor.kind == Factor::Kind::table) != (entries != nullptr)) {
            reader_.problem(table, "kind \"table\" needs \"table\", and nothing else has one");
        } else if (entries != nullptr) {
            const toml::table* map = entries->as_table();
            if (map == nullptr || map->empty()) {
                reader_.problem(*entries, "it must be like { \"1\" = \"0.001\" }");
                profile_->factors.push_back(std::move(factor));
                return;
            }
            for (const auto& [key, node] : *map) {
                const auto index = parse_number(key.str());
                const auto ratio = reader_.ratio(*map, std::string(key.str()).c_str());
                if (!index) reader_.problem(node, "the index must be a whole number in quotes");
                if (index && ratio) factor.table[*index] = *ratio;
            }
        }
        profile_->factors.push_back(std::move(factor));
    }

    void read_value(const toml::table& table) {
        reader_.check_keys(table, {"measurement", "function", "register", "stride", "type", "count",
                                   "order", "scale", "not_available", "factors", "parts", "bits"});
        Value value;
        value.line = static_cast<int>(table.source().begin.line);
        const std::string name = reader_.text(table, "measurement", true);
        if (const auto measurement = measurement_from(name)) {
            value.measurement = *measurement;
        } else {
            std::vector<std::string> names;
            for (int i = 0; i < kMeasurements; ++i) {
                names.emplace_back(to_string(static_cast<Measurement>(i)));
            }
            const auto near = nearest(name, names);
            reader_.problem(table, "\"" + name + "\" is no measurement" +
                                       (near ? "; did you mean \"" + *near + "\"?" : ""));
            return;
        }
        if (value.measurement == Measurement::clock) {
            reader_.problem(table, "the clock is described in [clock], not in a [[value]]");
            return;
        }
        if (profile_->find(value.measurement) != nullptr) {
            reader_.problem(table, "\"" + name + "\" stands twice");
        }
        if (profile_->values.size() >= kValuesMax) {
            reader_.problem(table, "more than " + std::to_string(kValuesMax) + " values");
            return;
        }
        if (table.get("parts") != nullptr) {
            for (const toml::table* part : reader_.tables(table, "parts")) {
                reader_.check_keys(*part, {"function", "register", "stride", "type", "count",
                                           "order", "scale", "not_available"});
                value.parts.push_back(read_part(*part, table));
            }
        } else {
            value.parts.push_back(read_part(table, table));
        }
        if (value.parts.empty()) {
            reader_.problem(table, "\"parts\" is empty");
            return;
        }
        read_factor_names(table, value);
        value.bits = read_bits(reader_, table);
        if (!value.bits.empty() && value.measurement != Measurement::status)
            reader_.problem(*table.get("bits"), "only a status has bits");
        profile_->values.push_back(std::move(value));
    }

    void read_factor_names(const toml::table& table, Value& value) {
        const toml::node* node = table.get("factors");
        if (node == nullptr) return;
        const toml::array* array = node->as_array();
        if (array == nullptr) {
            reader_.problem(*node, "\"factors\" must be a list of names");
            return;
        }
        for (const toml::node& entry : *array) {
            const std::string name = entry.value_or(std::string{});
            const auto found =
                std::find_if(profile_->factors.begin(), profile_->factors.end(),
                             [&](const Factor& factor) { return factor.name == name; });
            if (found == profile_->factors.end()) {
                reader_.problem(entry, "no [[factor]] is named \"" + name + "\"");
                continue;
            }
            value.factors.push_back(static_cast<int>(found - profile_->factors.begin()));
        }
    }

    // words = { "4:0x0048" = "42F6 E979" }: function, first register, words from there on.
    void read_test(const toml::table& table) {
        reader_.check_keys(table, {"name", "channel", "words", "expect"});
        TestVector vector;
        vector.line = static_cast<int>(table.source().begin.line);
        vector.name = reader_.text(table, "name", true);
        vector.channel = reader_.number(table, "channel", 0, profile_->channels - 1, 0);
        const toml::table* words = table["words"].as_table();
        const toml::table* expect = table["expect"].as_table();
        if (words == nullptr || expect == nullptr || expect->empty()) {
            reader_.problem(table, "a test needs the tables words and expect");
            return;
        }
        for (const auto& [key, node] : *words) {
            const std::string_view place = key.str();
            const std::size_t colon = place.find(':');
            const auto number = colon == 1 ? parse_number(place.substr(2)) : std::nullopt;
            const auto list = parse_words(node.value_or(std::string{}));
            if (!number || place[0] < '1' || place[0] > '4' || !list) {
                reader_.problem(node, "words are written like \"4:0x0048\" = \"42F6 E979\"");
                continue;
            }
            for (std::size_t i = 0; i < list->size(); ++i) {
                vector.words[{static_cast<RegisterTable>(place[0] - '0'),
                              *number + static_cast<int>(i)}] = (*list)[i];
            }
        }
        for (const auto& [key, node] : *expect) {
            const auto measurement = measurement_from(key.str());
            const auto value = node.value_exact<std::string>();
            if (!measurement || !value || profile_->find(*measurement) == nullptr) {
                reader_.problem(node, "\"" + std::string(key.str()) +
                                          "\" must be a value of this profile and its text");
                continue;
            }
            vector.expect[*measurement] = *value;
        }
        profile_->tests.push_back(std::move(vector));
    }

    Reader reader_;
    std::shared_ptr<Profile> profile_ = std::make_shared<Profile>();
};

}  // namespace

ParsedProfile parse_profile(const std::string& text, const std::string& file) {
    ParsedProfile parsed;
    toml::table root;
    try {
        root = toml::parse(text, file);
    } catch (const toml::parse_error& error) {
        const auto& at = error.source().begin;
        parsed.problems.push_back({file, static_cast<int>(at.line), static_cast<int>(at.column),
                                   std::string(error.description())});
        return parsed;
    }
    ProfileReader reader(file, parsed.problems);
    const std::shared_ptr<Profile> profile = reader.read(root);
    profile->file = file;
    if (!parsed.problems.empty()) return parsed;
    std::set<Measurement> tested;
    for (const TestVector& vector : profile->tests) {
        for (const auto& [measurement, expected] : vector.expect) tested.insert(measurement);
    }
    for (const Value& value : profile->values) {
        if (tested.count(value.measurement) != 0) continue;
        parsed.problems.push_back(
            {file, value.line, 1,
             std::string("no [[test]] expects ") + to_string(value.measurement)});
    }
    for (VectorMismatch& mismatch : run_vectors(*profile)) {
        parsed.problems.push_back({file, mismatch.line, 1, std::move(mismatch.text)});
    }
    if (parsed.problems.empty()) parsed.profile = profile;
    return parsed;
}

}  // namespace gatehouse::modbus
