#include "daemon/core/digest.hpp"

#include <algorithm>

namespace gatehouse {
namespace {

std::string names_of(const DigestCounts& counts, bool chinese) {
    std::string names;
    const std::size_t shown = std::min(counts.uncontacted.size(), kDigestNamesMax);
    for (std::size_t i = 0; i < shown; ++i) {
        if (i != 0) names += chinese ? "、" : ", ";
        names += counts.uncontacted[i];
    }
    const std::size_t more = counts.uncontacted.size() - shown;
    if (more != 0)
        names += chinese ? "等，另 " + std::to_string(more) + " 户"
                         : " and " + std::to_string(more) + " more";
    return names;
}

std::string chinese_day(LocalDate date) {
    return std::to_string(date.month) + "月" + std::to_string(date.day) + "日";
}

// Before a long rest the desk has to reach everybody who will run out in it.
std::string rest_of(const DigestCounts& counts, bool chinese) {
    if (!counts.rest) return "";
    const std::string homes = std::to_string(counts.before_rest);
    const auto [from, back] = *counts.rest;
    return chinese ? "；" + chinese_day(from) + "起放假、" + chinese_day(back) +
                         "上班，节前需续费 " + homes + " 户"
                   : "; closed from " + format_date(from) + ", back on " + format_date(back) +
                         ": " + homes + " to renew before";
}

std::string chinese_text(const DigestCounts& counts) {
    const auto n = [](int count) { return std::to_string(count); };
    std::string text = "【" + chinese_day(counts.date) + " 水电余额日报】已检查 " +
                       n(counts.checked) + " 个账户（未抄到 " + n(counts.not_read) + " 个";
    if (counts.held != 0) text += "，待核 " + n(counts.held) + " 个";
    text += "）。";
    if (counts.by_level[4] != 0) text += "超透支 " + n(counts.by_level[4]) + " 户，";
    text += "余额用完 " + n(counts.by_level[3]) + " 户，二级 " + n(counts.by_level[2]) +
            " 户，一级 " + n(counts.by_level[1]) + " 户；新增 " + n(counts.fresh) +
            " 户，充值解除 " + n(counts.topped_up) + " 户";
    if (counts.meters_offline != 0) text += "；通讯中断 " + n(counts.meters_offline) + " 块表";
    if (counts.vacant_use != 0) text += "；空置用量 " + n(counts.vacant_use) + " 块表";
    if (counts.leaks != 0) text += "；疑似漏水 " + n(counts.leaks) + " 块表";
    text += rest_of(counts, true);
    if (!counts.uncontacted.empty())
        text += "；超过24小时未联系 " + std::to_string(counts.uncontacted.size()) + " 户：" +
                names_of(counts, true);
    return text + "。";
}

std::string english_text(const DigestCounts& counts) {
    const auto n = [](int count) { return std::to_string(count); };
    std::string text = "[Balances on " + format_date(counts.date) + "] " + n(counts.checked) +
                       " accounts checked (" + n(counts.not_read) + " not read";
    if (counts.held != 0) text += ", " + n(counts.held) + " with a reading that awaits a check";
    text += "). ";
    if (counts.by_level[4] != 0) text += n(counts.by_level[4]) + " beyond overdraft, ";
    text += n(counts.by_level[3]) + " exhausted, " + n(counts.by_level[2]) + " critical, " +
            n(counts.by_level[1]) + " low; " + n(counts.fresh) + " new, " + n(counts.topped_up) +
            " cleared by a top-up";
    if (counts.meters_offline != 0) text += "; " + n(counts.meters_offline) + " meters offline";
    if (counts.vacant_use != 0)
        text += "; use in vacant units: " + n(counts.vacant_use) + " meters";
    if (counts.leaks != 0) text += "; leak suspected: " + n(counts.leaks) + " meters";
    text += rest_of(counts, false);
    if (!counts.uncontacted.empty())
        text += "; not contacted for 24 hours: " + std::to_string(counts.uncontacted.size()) +
                ": " + names_of(counts, false);
    return text + ".";
}

}  // namespace

bool is_working_day(LocalDate date, const Calendar& calendar) {
    return calendar.kind(date) == BandDays::workday;
}

bool is_digest_due(UtcMs now, const Zone& zone, std::optional<LocalDate> last,
                   const Calendar& calendar) {
    const LocalTime local = zone.local(now);
    if (last && *last >= local.date) return false;
    return local.ms_of_day >= kDigestMinute * 60'000 && is_working_day(local.date, calendar);
}

std::string digest_sentence(const DigestCounts& counts, bool chinese) {
    return chinese ? chinese_text(counts) : english_text(counts);
}

}  // namespace gatehouse
