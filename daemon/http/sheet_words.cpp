// Words of keys and tickets as the office says them (property-office.md 4.4): one each, on paper
// and in files alike.
#include <algorithm>

#include "daemon/http/table.hpp"

namespace gatehouse::http {
namespace {

using Word = std::pair<std::string_view, std::string_view>;

constexpr Word kUrgencies[] = {{"urgent", "急"}, {"normal", "一般"}, {"planned", "计划"}};
constexpr Word kStates[] = {{"reported", "待派工"},  {"dispatched", "已派工"},
                            {"accepted", "已接单"},  {"working", "维修中"},
                            {"paused", "挂起"},      {"done", "完工"},
                            {"visit_due", "待回访"}, {"visited", "已回访"},
                            {"closed", "已归档"},    {"cancelled", "已取消"}};
constexpr Word kKinds[] = {{"repair", "报修"},
                           {"complaint", "投诉"},
                           {"inspection", "巡查整改"},
                           {"defect", "交房返修"},
                           {"paid_service", "有偿服务"}};
constexpr Word kRatings[] = {{"A", "满意"}, {"B", "较满意"}, {"C", "不满意"}};
constexpr Word kChannels[] = {{"phone", "电话"},
                              {"desk", "前台"},
                              {"staff-for-owner", "员工代报"},
                              {"staff_for_owner", "员工代报"},
                              {"app", "线上"},
                              {"wechat", "微信"},
                              {"message", "短信"},
                              {"visit", "上门"},
                              {"patrol", "巡查"},
                              {"handover", "交房验房"}};
constexpr Word kOrigins[] = {{"device", "设备"}, {"derived", "推定"}, {"manual", "手工"}};
constexpr Word kKeyClasses[] = {{"entrusted", "业主托管"}, {"vacant", "空置房"},
                                {"public", "公共区域"},    {"equipment", "设备房"},
                                {"rework", "返修"},        {"reserve_sealed", "备用封存"},
                                {"master", "总钥匙"},      {"no_loan", "不外借"}};
constexpr Word kKeyPlaces[] = {
    {"in", "在位"}, {"out", "领出"}, {"given", "已交业主"}, {"lost", "遗失"}, {"unknown", "待核"}};

// What the electronics say of a register that was typed, or of one that was not.
constexpr Word kElectronics[] = {{"agrees", "一致"},
                                 {"apart", "与电子读数不一致"},
                                 {"silent", "无电子读数"},
                                 {"by_eye", "人工抄表"},
                                 {"not_read", "未抄"},
                                 {"unknown_meter", "无此表"},
                                 {"contradicts", "与账面不符，待核实"}};

}  // namespace

const CellWords kUrgencyWords = kUrgencies, kTicketStateWords = kStates, kTicketKindWords = kKinds,
                kRatingWords = kRatings, kChannelWords = kChannels, kOriginWords = kOrigins,
                kKeyClassWords = kKeyClasses, kKeyPlaceWords = kKeyPlaces,
                kElectronicWords = kElectronics;

std::string chinese_word(CellWords words, std::string_view word) {
    const auto found = std::find_if(words.begin(), words.end(),
                                    [&](const Word& one) { return one.first == word; });
    return std::string(found == words.end() ? word : found->second);
}

}  // namespace gatehouse::http
