// Text: the nearest name, UTF-8, and the words of the registry.
#include "daemon/core/text.hpp"

#include "daemon/core/registry.hpp"
#include "daemon/core/sample.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;

TEST_CASE("a code may be published, a name or a number to call may not") {
    for (const char* code : {"unknown_card", "kcm:0x00AB", "WX-202611-0001", "unsettled", "x"})
        CHECK(is_code(code));
    for (const char* words : {"", "张三", "call Zhang", "13812345678", "z13812345678", "a1234567",
                              "_x", "a\n", "012345678901234567890123456789012345678901"})
        CHECK_FALSE(is_code(words));
}

TEST_CASE("the nearest valid name") {
    const std::vector<std::string> names{"poll_interval", "response_timeout", "id", "url",
                                         "单元",          "multiplier"};
    CHECK(nearest("poll_intervall", names) == "poll_interval");
    CHECK(nearest("pol_intreval", names) == "poll_interval");
    CHECK(nearest("Poll_Interval", names) == "poll_interval");
    CHECK(nearest("ulr", names) == "url");
    CHECK(nearest("di", names) == "id");  // a swap is one edit
    CHECK(nearest("mulitplier", names) == "multiplier");
    CHECK(nearest("单园", names) == "单元");
    CHECK_FALSE(nearest("colour", names));
    CHECK_FALSE(nearest("x", names));
    CHECK_FALSE(nearest("", names));
    CHECK_FALSE(nearest("poll", {}));
    CHECK_FALSE(nearest(std::string(65, 'a'), {std::string(65, 'a')}));
    CHECK(nearest(std::string(64, 'a'), {std::string(65, 'a')}));
    CHECK(nearest("bat", {"cat", "hat"}) == "cat");  // ties: the earlier
}

TEST_CASE("UTF-8 is checked strictly") {
    CHECK(is_utf8(""));
    CHECK(is_utf8("3栋2单元1201 \xF0\x9F\x94\x91"));
    for (const char* bad : {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80",
                            "\xF4\x90\x80\x80", "\xFF", "\xE5\x8D", "\xB5\xA5\xD4\xAA"}) {
        CHECK_FALSE(is_utf8(bad));
    }
    CHECK(code_points("a单\xFF") == std::u32string{U'a', U'单', 0xFFFD});
    std::string out;
    for (const char32_t c : {U'a', U'é', U'单', char32_t{0x1F511}, char32_t{0xD800}}) {
        append_utf8(out, c);
    }
    CHECK(out == "aé单\xF0\x9F\x94\x91\xEF\xBF\xBD");
    CHECK(without_bom("\xEF\xBB\xBFunit") == "unit");
    CHECK(without_bom("unit") == "unit");
    CHECK(truncate_utf8("单元1201", 3) == "单元1");
    CHECK(truncate_utf8("ab", 9) == "ab");
    CHECK(trim(" \tx y ") == "x y");
    CHECK(trim("  ").empty());
}

TEST_CASE("identifiers") {
    CHECK(is_identifier("A-1.2_x"));
    CHECK(is_identifier(std::string(64, 'a')));
    for (const std::string& bad : {std::string(), std::string(65, 'a'), std::string("a b"),
                                   std::string("单元"), std::string("a/b")}) {
        CHECK_FALSE(is_identifier(bad));
    }
}

TEST_CASE("the registry's words go both ways") {
    CHECK(std::string(to_string(MeterRole::public_)) == "public");
    CHECK(parse_meter_role("public") == MeterRole::public_);
    CHECK_FALSE(parse_meter_role("public_"));
    CHECK_FALSE(parse_meter_role("Public"));
    CHECK(parse_key_class("reserve_sealed") == KeyClass::reserve_sealed);
    CHECK(parse_staff_role("contractor") == StaffRole::contractor);
    CHECK(parse_unit_status("fitting_out") == UnitStatus::fitting_out);
    CHECK(parse_account_service("all") == AccountService::all);
    CHECK(parse_day_kind("workday") == DayKind::workday);
    CHECK(parse_billing("none") == Billing::none);
    CHECK(parse_pool_share("usage") == PoolShare::usage);
    CHECK(parse_person_kind("shop") == PersonKind::shop);
    CHECK(parse_meter_status("stored") == MeterStatus::stored);
    CHECK(parse_use("common") == Use::common);
    for (const Service service : kServices) CHECK(parse_service(to_string(service)) == service);
    CHECK(std::string(to_string(PollResult::gateway_target)) == "gateway_target");
    CHECK(std::string(to_string(PollResult::not_connected)) == "not_connected");
}

TEST_CASE("a problem names its place as far as it has one") {
    CHECK(to_string(Problem{"meters.csv", 3, 7, "no such bus"}) == "meters.csv:3:7: no such bus");
    CHECK(to_string(Problem{"meters.csv", 3, 0, "short"}) == "meters.csv:3: short");
    CHECK(to_string(Problem{"units.csv", 0, 0, "missing"}) == "units.csv: missing");
}

TEST_CASE("characters that nothing can print, and what a workbook shows in their place") {
    struct Row {
        std::string text;
        bool unprintable;
        std::string shown;
    };
    const Row rows[] = {
        {"plain 张三", false, "plain 张三"},
        {"a\tb", true, "a\tb"},
        {"a\x01"
         "b",
         true,
         "a\xEF\xBF\xBD"
         "b"},
        {"\x7F", true, "\xEF\xBF\xBD"},
        {"\xEF\xBF\xBD", false, "\xEF\xBF\xBD"},
        {"\xEF\xBF\xBE", true, "\xEF\xBF\xBD"},
        {"a\xEF\xBF\xBF", true, "a\xEF\xBF\xBD"},
        {"\xED\xA0\x80", false, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF0\x9F\x94\x91", false, "\xF0\x9F\x94\x91"},
    };
    for (const Row& row : rows) {
        INFO(row.shown);
        CHECK(has_unprintable(row.text) == row.unprintable);
        CHECK(for_xml(row.text, 100) == row.shown);
    }
    CHECK(for_xml("张三", 6) == "张三");
    CHECK(for_xml("张三", 5) == "张");
    CHECK(for_xml("张三", 2).empty());
}
