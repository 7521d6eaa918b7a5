#include "daemon/core/notice.hpp"

namespace gatehouse {
namespace {

std::string two_digits(int value) {
    return (value < 10 ? "0" : "") + std::to_string(value);
}

std::string short_time(const LocalTime& time) {
    const int minute = time.ms_of_day / 60'000;
    return two_digits(time.date.month) + "-" + two_digits(time.date.day) + " " +
           two_digits(minute / 60) + ":" + two_digits(minute % 60);
}

const char* level_word(int level, bool chinese) {
    switch (level) {
        case 1:
            return chinese ? "一级提醒" : "Low balance";
        case 2:
            return chinese ? "二级提醒" : "Critical balance";
        case 3:
            return chinese ? "余额用完" : "Balance exhausted";
        default:
            return chinese ? "超透支" : "Beyond overdraft";
    }
}

const char* kind_word(AlertKind kind, int level, bool chinese) {
    switch (kind) {
        case AlertKind::low_balance:
            return level_word(level, chinese);
        case AlertKind::stale_balance:
            return chinese ? "余额未更新" : "Balance is stale";
        case AlertKind::meter_offline:
            return chinese ? "未抄到" : "Meter offline";
        case AlertKind::reading_held:
            return chinese ? "待核读数" : "Reading held";
        case AlertKind::meter_prepaid_active:
            return chinese ? "表内预付费启用" : "Meter prepays by itself";
        case AlertKind::vacant_use:
            return chinese ? "空置用量" : "Use in a vacant unit";
        case AlertKind::leak_suspect:
            return chinese ? "疑似漏水" : "Leak suspected";
        case AlertKind::log_gap:
            return chinese ? "记录缺口" : "Gap in the log";
    }
    return "";
}

std::string heading(const SentenceFacts& facts, bool chinese) {
    std::string word = kind_word(facts.kind, facts.level, chinese);
    if (facts.meters > 0) word = chinese ? "线路中断" : "Bus offline";
    switch (facts.state) {
        case AlertState::raised:
            return word;
        case AlertState::escalated:
            return chinese ? "升级：" + word : word + ", escalated";
        case AlertState::reminded:
            return chinese ? "再次提醒：" + word : word + ", reminder";
        case AlertState::acknowledged:
            return chinese ? "已登记联系：" + word : word + ", contact recorded";
        case AlertState::eased:
            return chinese ? "降为" + word : word + ", eased";
        case AlertState::cleared:
            break;
    }
    if (facts.kind == AlertKind::low_balance) return chinese ? "已解除" : "Cleared";
    return chinese ? word + "已解除" : word + ", cleared";
}

const char* service_word(AccountService service, bool chinese) {
    switch (service) {
        case AccountService::electricity:
            return chinese ? "电费" : "electricity";
        case AccountService::water:
            return chinese ? "水费" : "water";
        case AccountService::all:
            return chinese ? "水电费" : "electricity and water";
    }
    return "";
}

const char* meter_word(AccountService service, bool chinese) {
    switch (service) {
        case AccountService::electricity:
            return chinese ? "电表" : "electricity meter";
        case AccountService::water:
            return chinese ? "水表" : "water meter";
        case AccountService::all:
            return chinese ? "表" : "meter";
    }
    return "";
}

std::string money(const SentenceFacts& facts, bool chinese) {
    const std::string amount = format(facts.balance);
    if (!chinese) return facts.currency + " " + amount;
    return amount + " " + (facts.currency == "CNY" ? "元" : facts.currency);
}

// Why somebody with money for so many days is called now.
std::string rest_part(const SentenceFacts& facts, bool chinese) {
    if (!facts.back_on) return "";
    return chinese ? "（节后 " + std::to_string(facts.back_on->month) + "月" +
                         std::to_string(facts.back_on->day) + "日上班）"
                   : " (the office is closed until " + format_date(*facts.back_on) + ")";
}

std::string balance_part(const SentenceFacts& facts, bool chinese) {
    std::string text = service_word(facts.service, chinese);
    text += chinese ? "余额 " : " balance ";
    text += money(facts, chinese);
    if (facts.days_left && facts.balance.count > 0) {
        const std::string days = std::to_string(*facts.days_left);
        text += chinese ? "，约可用 " + days + " 天"
                        : ", about " + days + (*facts.days_left == 1 ? " day" : " days") + " left";
        text += rest_part(facts, chinese);
        if (facts.estimated) text += chinese ? "（按平均用量推算）" : " (projected)";
    }
    return text;
}

std::string as_of_part(const SentenceFacts& facts, bool chinese) {
    if (!facts.as_of) return chinese ? "，尚无读数" : ", no reading yet";
    const std::string time = short_time(*facts.as_of);
    return chinese ? "，读数截至 " + time : ", read up to " + time;
}

std::string quality_part(const SentenceFacts& facts, bool chinese) {
    std::string text;
    if (facts.held) text += chinese ? "有读数待核。" : " A reading awaits a check.";
    if (facts.offline) {
        text += chinese ? "表未抄到（通讯中断）。" : " The meter does not answer.";
    }
    return text;
}

// Beside the words: who is to look at it, and how they are reached.
std::string people_part(const SentenceFacts& facts, bool chinese) {
    std::string text;
    const std::string_view meant = escalated_to(facts.state, facts.level);
    if (meant == "lead")
        text += chinese ? "尚无联系登记，请客服主管跟进。"
                        : " Nobody recorded a contact: for the client-service lead.";
    if (meant == "manager")
        text += chinese ? "尚无联系登记，请项目经理跟进。"
                        : " Nobody recorded a contact: for the project manager.";
    if (facts.phone)
        text += chinese ? "请电话联系，勿张贴通知。" : " Phone them; post nothing on the door.";
    return text;
}

std::string outage(const SentenceFacts& facts, bool chinese) {
    const bool over = facts.state == AlertState::cleared;
    if (facts.meters > 0) {
        const std::string count = std::to_string(facts.meters);
        if (over) return chinese ? "线路已恢复通讯" : "the bus answers again";
        return chinese ? "线路通讯中断，" + count + " 块表全部未抄到"
                       : "none of the " + count + " meters of this bus answers";
    }
    const std::string meter = meter_word(facts.service, chinese);
    if (over) return chinese ? meter + "已恢复抄表" : meter + " answers again";
    if (facts.bus.empty())
        return chinese ? meter + "未抄到（通讯中断）" : meter + " does not answer";
    return chinese ? meter + "未抄到（线路 " + facts.bus + " 中断）"
                   : meter + " does not answer, as all of bus " + facts.bus;
}

std::string vacant_use(const SentenceFacts& facts, bool chinese) {
    const std::string meter = meter_word(facts.service, chinese);
    const bool water = facts.service == AccountService::water;
    if (facts.state == AlertState::cleared) {
        if (facts.by_registry)
            return chinese ? meter + "不再按空置房核对"
                           : meter + " is no longer looked at as a vacant unit's";
        return chinese ? meter + "整日无异常用量"
                       : meter + " counted nothing of note for a whole day";
    }
    if (water)
        return chinese ? "空置房水表24小时流水不断，请上门查看"
                       : "water has not stood still for 24 hours, and nobody lives there";
    if (!facts.used)
        return chinese ? "空置房有用电，请上门查看" : "electricity is used, and nobody lives there";
    return chinese ? "空置房一日用电 " + format(*facts.used) + " 度，请上门查看"
                   : format(*facts.used) + " kWh of electricity in a day, and nobody lives there";
}

std::string leak(const SentenceFacts& facts, bool chinese) {
    if (facts.state == AlertState::cleared) {
        if (facts.by_registry)
            return chinese ? "水表已不在用" : "the water meter is no longer in service";
        return chinese ? "水表已有停水时段" : "the water stood still again";
    }
    if (!facts.used)
        return chinese ? "水表流水不断，请查漏"
                       : "the water has not stood still; have the pipes looked at";
    return chinese ? "水表24小时流水不断，每小时至少 " + format(*facts.used) + " 吨，请查漏"
                   : "the water has not stood still for 24 hours, at least " + format(*facts.used) +
                         " m3 in every hour; have the pipes looked at";
}

std::string log_gap(const SentenceFacts& facts, bool chinese) {
    if (facts.state == AlertState::cleared)
        return chinese ? "已有人核对" : "somebody has looked into it";
    if (facts.gap_next <= facts.gap_after + 1)
        return chinese ? "数据库由备份恢复，请核对其后的收款和换表"
                       : "a backup was restored; check the top-ups and replacements after it";
    const std::string first = std::to_string(facts.gap_after + 1);
    const std::string last = std::to_string(facts.gap_next - 1);
    if (chinese)
        return "数据库由备份恢复，第 " + first + " 至 " + last +
               " 号记录缺失，请核对期间的收款和换表";
    return "a backup was restored and events " + first + " to " + last +
           " are missing; check the top-ups and replacements of that time";
}

// What happened, for the kinds that are about a meter or a reading.
std::string matter(const SentenceFacts& facts, bool chinese) {
    const bool over = facts.state == AlertState::cleared;
    const std::string meter = meter_word(facts.service, chinese);
    switch (facts.kind) {
        case AlertKind::meter_offline:
            return outage(facts, chinese);
        case AlertKind::log_gap:
            return log_gap(facts, chinese);
        case AlertKind::vacant_use:
            return vacant_use(facts, chinese);
        case AlertKind::leak_suspect:
            return leak(facts, chinese);
        case AlertKind::reading_held:
            if (over) return chinese ? meter + "读数已核实处理" : meter + " reading was checked";
            return chinese ? meter + "读数待核，核实前不扣费"
                           : meter + " reading awaits a check and costs nothing until then";
        case AlertKind::meter_prepaid_active:
            if (over)
                return chinese ? meter + "自身的预付费已停用"
                               : meter + " no longer prepays by itself";
            return chinese ? meter + "自身的预付费在用，余额用完会自行断开，须改为保电或远程模式"
                           : meter +
                                 " prepays by itself and may cut off its supply; switch its "
                                 "own prepayment off";
        case AlertKind::stale_balance:
            if (over) {
                return chinese ? "读数已恢复，" + balance_part(facts, true)
                               : "readings are back, " + balance_part(facts, false);
            }
            return chinese ? "超过24小时无已核实读数，" + balance_part(facts, true)
                           : "no confirmed reading for 24 hours, " + balance_part(facts, false);
        case AlertKind::low_balance:
            break;
    }
    return balance_part(facts, chinese);
}

}  // namespace

const char* to_string(AlertKind kind) {
    switch (kind) {
        case AlertKind::low_balance:
            return "low_balance";
        case AlertKind::stale_balance:
            return "stale_balance";
        case AlertKind::meter_offline:
            return "meter_offline";
        case AlertKind::reading_held:
            return "reading_held";
        case AlertKind::meter_prepaid_active:
            return "meter_prepaid_active";
        case AlertKind::vacant_use:
            return "vacant_use";
        case AlertKind::leak_suspect:
            return "leak_suspect";
        case AlertKind::log_gap:
            return "log_gap";
    }
    return "";
}

std::optional<AlertKind> parse_alert_kind(std::string_view word) {
    for (const AlertKind kind :
         {AlertKind::low_balance, AlertKind::stale_balance, AlertKind::meter_offline,
          AlertKind::reading_held, AlertKind::meter_prepaid_active, AlertKind::vacant_use,
          AlertKind::leak_suspect, AlertKind::log_gap})
        if (word == to_string(kind)) return kind;
    return std::nullopt;
}

std::string sentence(const SentenceFacts& facts, bool chinese) {
    const std::string& where = facts.unit_label.empty() ? facts.subject : facts.unit_label;
    const bool about_money =
        facts.kind == AlertKind::low_balance || facts.kind == AlertKind::stale_balance;
    std::string text = chinese ? "【" + heading(facts, true) + "】" + where + " "
                               : "[" + heading(facts, false) + "] " + where + ": ";
    text += matter(facts, chinese);
    // A bus and a log have no reading of their own.
    if (facts.kind != AlertKind::log_gap && facts.meters == 0) text += as_of_part(facts, chinese);
    text += chinese ? "。" : ".";
    // A meter's own alert says its quality already.
    if (about_money) text += quality_part(facts, chinese);
    text += people_part(facts, chinese);
    return text;
}

}  // namespace gatehouse
