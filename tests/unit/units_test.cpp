// Units: strict decimals, exact fractions and the one rounding.
#include "daemon/core/units.hpp"

#include <limits>

#include "tests/support/catch.hpp"

using namespace gatehouse;

TEST_CASE("a decimal is taken strictly") {
    struct Row {
        const char* text;
        int places;
        std::optional<std::int64_t> value;
    };
    const Row rows[] = {
        {"0", 2, 0},
        {"50.00", 2, 5000},
        {"50", 2, 5000},
        {"0.5", 2, 50},
        {"-0.01", 2, -1},
        {"-0", 2, 0},
        {"007", 0, 7},
        {"0.48830000", 8, 48'830'000},
        {"999999999999999999", 0, 999'999'999'999'999'999},
        {"1000000000000000000", 0, std::nullopt},  // 19 digits
        {"99999999999999999", 3, std::nullopt},    // leaves 64 bits with its places
        {"", 2, std::nullopt},
        {"-", 2, std::nullopt},
        {".", 2, std::nullopt},
        {".5", 2, std::nullopt},
        {"5.", 2, std::nullopt},
        {"-.5", 2, std::nullopt},
        {"+1", 2, std::nullopt},
        {" 1", 2, std::nullopt},
        {"1 ", 2, std::nullopt},
        {"1,5", 2, std::nullopt},
        {"1.2.3", 2, std::nullopt},
        {"--1", 2, std::nullopt},
        {"1e3", 2, std::nullopt},
        {"0x10", 2, std::nullopt},
        {"2.02E+11", 2, std::nullopt},
        {"1.005", 2, std::nullopt},  // more places than the unit has
        {"1.000", 2, std::nullopt},
        {"\xEF\xBC\x95", 2, std::nullopt},  // a full-width 5
        {"nan", 2, std::nullopt},
    };
    for (const Row& row : rows) {
        INFO("'" << row.text << "' with " << row.places << " places");
        CHECK(parse_decimal(row.text, row.places) == row.value);
    }
}

TEST_CASE("a decimal is written with all its places, or trimmed") {
    CHECK(format_decimal(0, 2) == "0.00");
    CHECK(format_decimal(-1, 2) == "-0.01");
    CHECK(format_decimal(5000, 2) == "50.00");
    CHECK(format_decimal(42, 0) == "42");
    CHECK(format_decimal(std::numeric_limits<std::int64_t>::min(), 3) == "-9223372036854775.808");
    CHECK(format_decimal_trimmed(48'830'000, 8, 2) == "0.4883");
    CHECK(format_decimal_trimmed(50'000'000, 8, 2) == "0.50");
    CHECK(format_decimal_trimmed(100, 2, 0) == "1");
    CHECK(format_decimal_trimmed(-1200, 3, 0) == "-1.2");
    CHECK(format(Fen{-12345}) == "-123.45");
    CHECK(format(Milli{7}) == "0.007");
    CHECK(format(Price{200'000'000}) == "2.00");
}

TEST_CASE("amounts add, subtract and compare") {
    Fen amount{100};
    amount += Fen{50};
    amount -= Fen{200};
    CHECK(amount == Fen{-50});
    CHECK(-amount == Fen{50});
    CHECK(Fen{1} < Fen{2});
}

TEST_CASE("rounding to a thousandth is half up, at negatives too") {
    struct Row {
        Rational value;
        std::optional<std::int64_t> milli;
    };
    const Int128 big = Int128{1} << 120;
    const Row rows[] = {
        {{1, 2000}, 1},    // 0.0005 up
        {{-1, 2000}, 0},   // -0.0005 towards plus infinity
        {{-3, 2000}, -1},  // -0.0015
        {{1, 2001}, 0},
        {{-1, 1999}, -1},
        {{1, 3}, 333},
        {{2, 3}, 667},
        {{-2, 3}, -667},
        {{5, 1}, 5000},
        {{1234567891, 1000000}, 1234568},
        {{big + 1, big * 2}, 500},             // a hair above one half
        {{big / 1000 * 1 + 1, big * 2}, 1},    // just above 0.0005
        {{Int128{1} << 62, 1}, std::nullopt},  // leaves 64 bits
        {{-(Int128{1} << 126), 1}, std::nullopt},
    };
    for (const Row& row : rows) {
        INFO(format_fraction(row.value));
        const auto rounded = round_to_milli(row.value);
        REQUIRE(rounded.has_value() == row.milli.has_value());
        if (rounded) CHECK(rounded->count == *row.milli);
    }
}

TEST_CASE("fractions stay exact or say that they cannot") {
    const auto text = [](const std::optional<Rational>& value) {
        return value ? format_fraction(*value) : std::string("nothing");
    };
    CHECK(text(parse_rational("0.01")) == "1/100");
    CHECK(text(parse_rational("120")) == "120");
    CHECK(text(parse_rational("-2.50")) == "-5/2");
    CHECK(text(parse_rational("1e3")) == "nothing");
    CHECK(text(parse_rational("0.1234567890123456789")) == "nothing");
    CHECK(text(multiply({2, 3}, {9, 4})) == "3/2");
    CHECK(text(multiply({0, 1}, {9, 4})) == "0");
    CHECK(text(multiply({Int128{1} << 100, 1}, {Int128{1} << 100, 1})) == "nothing");
    CHECK(text(multiply({Int128{1} << 100, 3}, {3, Int128{1} << 100})) == "1");
    CHECK(text(add({1, 2}, {1, 3})) == "5/6");
    CHECK(text(add({Int128{1} << 126, 1}, {Int128{1} << 126, 1})) == "nothing");
    CHECK(text(subtract({1, 2}, {1, 3})) == "1/6");
    CHECK(text(subtract({1, 3}, {1, 3})) == "0");
}

TEST_CASE("fractions compare exactly where products would leave 128 bits") {
    const Int128 big = Int128{1} << 126;
    CHECK((compare({1, 3}, {1, 2}) < 0));
    CHECK((compare({-1, 3}, {-1, 2}) > 0));
    CHECK((compare({-1, 3}, {1, 1000}) < 0));
    CHECK((compare({2, 4}, {1, 2}) == 0));
    CHECK((compare({7, 1}, {21, 3}) == 0));
    CHECK((compare({big, big - 1}, {big + 1, big}) > 0));
    CHECK((compare({big - 1, big}, {big - 2, big - 1}) > 0));
    CHECK((compare({-(big - 1), big}, {-(big - 2), big - 1}) < 0));
    CHECK((compare({3, 1}, {7, 2}) < 0));
    CHECK((compare({7, 2}, {3, 1}) > 0));
}

TEST_CASE("a fraction has one spelling in the store") {
    for (const char* text : {"0", "-7", "120", "1/3", "-5/2", "12345/1024",
                             "170141183460469231731687303715884105727"}) {
        INFO(text);
        const auto value = parse_fraction(text);
        REQUIRE(value);
        CHECK(format_fraction(*value) == text);
    }
    for (const char* text : {"", "-", "/", "1/", "/2", "2/4", "1/0", "1/-2", "1/1", "01", "-0",
                             "1.5", "1/2/3", "170141183460469231731687303715884105728"}) {
        INFO(text);
        CHECK_FALSE(parse_fraction(text));
    }
}
