#include "drivers/cabinet/push.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "daemon/core/key_custody.hpp"
#include "daemon/core/text.hpp"

namespace gatehouse::cabinet {
namespace {

namespace bj = boost::json;

constexpr std::size_t kTextMax = 256;
constexpr int kSlotMax = 4096;
constexpr std::size_t kSlotsMax = 4096;

std::string text_of(const bj::object& object, const char* name) {
    const bj::value* value = object.if_contains(name);
    if (value == nullptr || !value->is_string()) return "";
    return std::string(truncate_utf8(std::string(value->get_string()), kTextMax));
}

std::string kept_raw(const bj::object& object) {
    return std::string(truncate_utf8(bj::serialize(object), kTextMax));
}

// What a known event says beside what is read of it, `raw` among it.
std::string unread(const bj::object& object, KeyEventType type) {
    static constexpr std::string_view kRead[] = {
        "v",      "src",    "boot", "seq",    "ts",  "clk",    "type", "detail", "result",
        "state",  "slot",   "door", "begins", "tag", "person", "cred", "key",    "second",
        "ticket", "reason", "sess", "serial", "by",  "from",   "to",   "q",
    };
    // Of what hangs in a strange slot: where it belongs.
    const auto home = [&](std::string_view word) {
        return type == KeyEventType::key_wrong_slot && word == "home";
    };
    static constexpr std::string_view kOfStock[] = {"slots", "present", "bitmap", "list"};
    bj::object rest;
    for (const auto& [name, value] : object) {
        const std::string_view word(name.data(), name.size());
        const bool read = std::find(std::begin(kRead), std::end(kRead), word) != std::end(kRead);
        const bool stock =
            type == KeyEventType::inventory &&
            std::find(std::begin(kOfStock), std::end(kOfStock), word) != std::end(kOfStock);
        const bool phase = is_alarm(type) && (word == "start" || word == "clear");
        if (!read && !stock && !phase && !home(word)) rest.emplace(name, value);
    }
    return rest.empty() ? "" : kept_raw(rest);
}

std::optional<std::int64_t> number_of(const bj::object& object, const char* name) {
    const bj::value* value = object.if_contains(name);
    if (value == nullptr) return std::nullopt;
    // What a JSON reader of a cabinet still counts exactly; beyond it two numbers are one.
    constexpr std::int64_t kExactMax = std::int64_t{1} << 53;
    if (!value->is_int64() || value->get_int64() > kExactMax) return std::nullopt;
    return value->get_int64();
}

// Milliseconds since 1970, or a text with an offset; nothing where absent or wrong.
std::optional<UtcMs> time_of(const bj::object& object, const char* name, const Zone& zone) {
    const bj::value* value = object.if_contains(name);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return parse_iso8601(std::string_view(value->get_string().data(), value->get_string().size()),
                         zone);
}

// What a word says of an alarm: that it begins, that it ends, or nothing.
std::optional<bool> phase_of(std::string word) {
    static constexpr std::string_view kBegins[] = {"start", "started", "begin", "begins",
                                                   "begun", "on",      "active"};
    static constexpr std::string_view kEnds[] = {"clear", "cleared", "end", "ends", "ended", "off"};
    for (char& c : word)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const auto is_among = [&](const auto& words) {
        return std::find(std::begin(words), std::end(words), word) != std::end(words);
    };
    if (is_among(kBegins)) return true;
    return is_among(kEnds) ? std::optional(false) : std::nullopt;
}

// Those that raise an alert which nothing but their end ends.
bool needs_end(KeyEventType type) {
    return type == KeyEventType::tamper || type == KeyEventType::door_held;
}

// "access.denied.unknown_card", "door.held{clear}": the type, and what stands behind it, which is
// the answer as well, whatever other words have the detail then.
std::string take_type(KeyEvent& event, const bj::object& object) {
    event.word = text_of(object, "type");
    std::string word = event.word;
    for (const char open : {'{', '('}) {
        const std::size_t at = word.find(open);
        if (at == std::string::npos) continue;
        event.detail = word.substr(at + 1, word.size() - at - 2);
        word.resize(at);
    }
    event.type = parse_key_event_type(word);
    if (event.type == KeyEventType::vendor) {
        const std::size_t dot = word.rfind('.');
        if (dot != std::string::npos && dot > 0) {
            const KeyEventType known = parse_key_event_type(word.substr(0, dot));
            if (known != KeyEventType::vendor) {
                event.type = known;
                event.detail = word.substr(dot + 1);
            }
        }
    }
    const std::string behind = event.detail;
    for (const char* name : {"detail", "result", "state"})
        if (const std::string detail = text_of(object, name); !detail.empty())
            event.detail = detail;
    // Why somebody was turned away often stands where others say what a key is for.
    if (event.type == KeyEventType::access_denied && event.detail.empty())
        event.detail = text_of(object, "reason");
    return behind;
}

// Whether an alarm begins or ends: by what stands behind its type, by its words, and by `begins`,
// `start` and `clear`, which are true or false. Absent is a beginning. False: they disagree, or a
// word that nobody here knows is all that an alarm has which only its end would end.
bool take_phase(KeyEvent& event, const std::string& behind, const bj::object& object) {
    std::optional<bool> said;
    bool agree = true, unknown = false;
    const auto take = [&](bool begins) {
        agree = agree && said.value_or(begins) == begins;
        said = begins;
    };
    const auto take_word = [&](const std::string& word) {
        const auto phase = phase_of(word);
        if (phase) take(*phase);
        unknown = unknown || (!phase && !word.empty());
    };
    take_word(behind);
    for (const char* name : {"detail", "result", "state"}) take_word(text_of(object, name));
    for (const char* name : {"begins", "start", "clear"}) {
        const bj::value* value = object.if_contains(name);
        if (value == nullptr || value->is_null()) continue;
        if (!value->is_bool()) return false;
        take(value->get_bool() == (std::string_view(name) != "clear"));
    }
    // What other makers call it is in no text, and may mean either.
    for (const char* name : {"active", "cleared", "ended", "phase"})
        unknown = unknown || object.contains(name);
    event.begins = said.value_or(true);
    return agree && (said || !unknown || !needs_end(event.type));
}

void take_card(KeyEvent& event, const bj::object& object) {
    const bj::value* value = object.if_contains("cred");
    if (value == nullptr || !value->is_object()) return;
    const bj::object& card = value->get_object();
    // A mechanical key, or a release from afar, is nobody's badge.
    const std::string kind = text_of(card, "kind");
    event.stranger = kind == "mech" || kind == "remote";
    const std::string ref = text_of(card, "ref");
    if (ref.empty()) return;
    const std::string format = text_of(card, "fmt");
    event.card = ref.starts_with("hmac256:") || format.empty() ? ref : format + ":" + ref;
}

// {"slots":[1,2]} as numbers, or a text of 0 and 1 from slot 1 on, which speaks of as many slots.
bool take_present(KeyEvent& event, const bj::object& object) {
    if (event.type != KeyEventType::inventory) return true;
    for (const char* name : {"present", "slots", "bitmap", "list"}) {
        const bj::value* value = object.if_contains(name);
        if (value == nullptr) continue;
        if (value->is_string()) {
            const bj::string& bits = value->get_string();
            if (bits.empty() || bits.size() > kSlotsMax) return false;
            if (bits.find_first_not_of("01") != bj::string::npos) return false;
            event.covers = static_cast<int>(bits.size());
            for (std::size_t i = 0; i < bits.size(); ++i)
                if (bits[i] == '1') event.present.push_back(static_cast<int>(i) + 1);
            return true;
        }
        if (!value->is_array() || value->get_array().size() > kSlotsMax) return false;
        for (const bj::value& slot : value->get_array()) {
            if (!slot.is_int64() || slot.get_int64() < 0 || slot.get_int64() > kSlotMax)
                return false;
            event.present.push_back(static_cast<int>(slot.get_int64()));
        }
        return true;
    }
    return false;
}

class Decoder {
  public:
    Decoder(const std::string& cabinet, const Zone& zone, PushFrom from)
        : cabinet_(cabinet), zone_(zone), from_(from) {}

    std::variant<KeyPush, PushRefusal> run(std::string_view body) {
        if (body.size() > kPushBytesMax)
            return PushRefusal{"too-large", "the push is larger than 64 KiB; send fewer events"};
        bj::parse_options options;
        options.max_depth = kPushDepthMax;
        boost::system::error_code error;
        const bj::value value =
            bj::parse(bj::string_view(body.data(), body.size()), error, bj::storage_ptr(), options);
        if (error)
            return PushRefusal{"malformed",
                               "the push is no JSON, or nests deeper than 8: " + error.message()};
        push_.source = from_ == PushFrom::cabinet ? cabinet_ : cabinet_ + kReaderSuffix;
        if (const bj::object* whole = value.if_object()) {
            if (whole->contains("events")) return batch(*whole);
            // Taken as an event it would be answered like one that was kept.
            if (!is_event(*whole))
                return PushRefusal{"no-events",
                                   "the push has no list `events`, and is no single event with "
                                   "`boot`, `seq` and `type` either"};
        }
        bj::array alone;
        if (value.is_object()) alone.push_back(value);
        const bj::array* list = value.is_array() ? &value.get_array() : &alone;
        if (!value.is_array() && !value.is_object())
            return PushRefusal{"malformed", "the push is neither an event nor a list of events"};
        return events(*list, std::nullopt);
    }

  private:
    static bool is_event(const bj::object& object) {
        return object.contains("boot") && object.contains("seq") && object.contains("type");
    }

    std::variant<KeyPush, PushRefusal> batch(const bj::object& whole) {
        if (const auto refused = other_source(whole)) return *refused;
        if (const bj::value* value = &whole.at("events"); !value->is_array())
            return PushRefusal{"malformed", "`events` is no list"};
        push_.device_now = time_of(whole, "now", zone_);
        push_.serial = text_of(whole, "serial");
        return events(whole.at("events").get_array(), number_of(whole, "boot"));
    }

    std::optional<PushRefusal> other_source(const bj::object& object) {
        const std::string source = text_of(object, "src");
        if (source.empty()) return std::nullopt;
        const bool reader = source == cabinet_ + kReaderSuffix || from_ == PushFrom::reader_alone;
        if (source == cabinet_ || source == cabinet_ + kReaderSuffix) {
            const std::string meant = reader ? cabinet_ + kReaderSuffix : cabinet_;
            // One push counts under one source, which is acknowledged.
            if (!named_.empty() && named_ != meant)
                return PushRefusal{"src-mismatch", "the push names two sources, `" + named_ +
                                                       "` and `" + meant + "`; push them apart"};
            named_ = push_.source = meant;
            return std::nullopt;
        }
        return PushRefusal{"src-mismatch", "the push names the source `" + source +
                                               "` and came as `" + cabinet_ + "`"};
    }

    std::variant<KeyPush, PushRefusal> events(const bj::array& list,
                                              std::optional<std::int64_t> boot) {
        if (list.size() > kPushEventsMax)
            return PushRefusal{"too-many", "more than 256 events in one push; send fewer"};
        push_.boot = boot.value_or(0);
        for (std::size_t i = 0; i < list.size(); ++i) {
            if (!list[i].is_object()) {
                push_.bad.push_back({i, "no_object"});
                continue;
            }
            const bj::object& object = list[i].get_object();
            if (const auto refused = other_source(object)) return *refused;
            event(i, object, boot);
        }
        for (KeyEvent& event : push_.events) event.id.source = push_.source;
        return std::move(push_);
    }

    void event(std::size_t i, const bj::object& object, std::optional<std::int64_t> boot) {
        KeyEvent event;
        const auto own_boot = number_of(object, "boot");
        const auto seq = number_of(object, "seq");
        if (own_boot) boot = own_boot;
        if (!boot || *boot < 0) return push_.bad.push_back({i, "boot"});
        push_.boot = std::max(push_.boot, *boot);
        if (!seq || *seq < 0) return push_.bad.push_back({i, "seq"});
        if (const std::string serial = text_of(object, "serial"); !serial.empty()) {
            // One push is of one board: which numbering its numbers are of hangs on that.
            if (push_.serial.empty()) push_.serial = serial;
            if (serial != push_.serial) return push_.bad.push_back({i, "serial"});
        }
        event.id.boot = *boot;
        event.id.seq = *seq;
        const std::string behind = take_type(event, object);
        if (!take_fields(i, event, behind, object)) {
            // It has a number, so it is kept as it came: a hole there would be a lie.
            KeyEvent raw;
            raw.id = event.id;
            raw.word = event.word;
            raw.at = event.at;
            raw.reason = kept_raw(object);
            event = std::move(raw);
        } else if (event.type == KeyEventType::vendor) {
            event.reason = kept_raw(object);
        } else {
            event.extra = unread(object, event.type);
        }
        push_.events.push_back(std::move(event));
    }

    bool take_fields(std::size_t i, KeyEvent& event, const std::string& behind,
                     const bj::object& object) {
        if (object.contains("ts")) {
            const auto at = time_of(object, "ts", zone_);
            if (!at) return bad(i, "ts");
            event.at = *at;
        }
        if (text_of(object, "clk") == "unset") event.at = 0;
        if (event.word.empty()) return bad(i, "type");
        if (is_alarm(event.type) && !take_phase(event, behind, object))
            return bad(i, "start_clear");
        for (const auto& [name, place] :
             {std::pair{"slot", &event.slot}, std::pair{"door", &event.door},
              std::pair{"home", &event.home}}) {
            if (place == &event.home && event.type != KeyEventType::key_wrong_slot) continue;
            const bj::value* value = object.if_contains(name);
            if (value == nullptr || value->is_null()) continue;
            const auto number = number_of(object, name);
            if (!number || *number < 0 || *number > kSlotMax)
                return bad(i, std::string(name) + "_range");
            *place = static_cast<int>(*number);
        }
        event.tag = text_of(object, "tag");
        event.person = text_of(object, "person");
        event.second = text_of(object, "second");
        event.ticket = text_of(object, "ticket");
        event.reason = text_of(object, "reason");
        event.session = text_of(object, "sess");
        event.by = text_of(object, "by");
        event.key = text_of(object, "key");
        const std::string origin = text_of(object, "q");
        event.origin = origin == "manual"    ? KeyOrigin::manual
                       : origin == "derived" ? KeyOrigin::derived
                                             : KeyOrigin::device;
        take_card(event, object);
        event.from = number_of(object, "from").value_or(0);
        event.through = number_of(object, "to").value_or(0);
        if (!take_present(event, object)) return bad(i, "slots");
        return true;
    }

    bool bad(std::size_t i, std::string code) {
        push_.bad.push_back({i, std::move(code)});
        return false;
    }

    const std::string& cabinet_;
    const Zone& zone_;
    const PushFrom from_;
    std::string named_;  // the source that it says itself
    KeyPush push_;
};

}  // namespace

std::variant<KeyPush, PushRefusal> decode_push(std::string_view body, const std::string& cabinet,
                                               const Zone& zone, PushFrom from) {
    return Decoder(cabinet, zone, from).run(body);
}

}  // namespace gatehouse::cabinet
