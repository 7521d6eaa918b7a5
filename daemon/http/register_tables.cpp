// Rooms, keys and tickets as tables: their columns.
#include <string_view>
#include <utility>

#include "daemon/http/exports.hpp"

namespace gatehouse::http {
namespace {

using Word = std::pair<std::string_view, std::string_view>;

constexpr Word kUnitStates[] = {
    {"not_delivered", "未交付"}, {"vacant", "空置"}, {"fitting_out", "装修"},
    {"occupied", "自住"},        {"let", "出租"},    {"away", "外出"}};
constexpr Word kKeyClasses[] = {{"entrusted", "业主托管"}, {"vacant", "空置房"},
                                {"public", "公共"},        {"equipment", "设备房"},
                                {"rework", "整改"},        {"reserve_sealed", "封存备用"},
                                {"master", "总钥匙"},      {"no_loan", "不外借"}};
constexpr Word kKeyPlaces[] = {
    {"in", "在位"}, {"out", "借出"}, {"given", "已交付"}, {"lost", "遗失"}, {"unknown", "不明"}};
constexpr Word kTicketKinds[] = {{"repair", "报修"},
                                 {"complaint", "投诉"},
                                 {"inspection", "巡检"},
                                 {"defect", "整改"},
                                 {"paid_service", "有偿服务"}};
constexpr Word kUrgencies[] = {{"urgent", "急"}, {"normal", "一般"}, {"planned", "计划"}};

const Column kUnitColumns[] = {
    {"unit", "房号"},
    {"label", "房屋"},
    {"building", "楼栋"},
    {"entrance", "单元"},
    {"floor", "楼层"},
    {"use", "用途", Cell::word, kUseWords},
    {"status", "状态", Cell::word, kUnitStates},
    {"area", "面积", Cell::number},
    {"persons", "人数", Cell::count},
    {"walk_order", "走访顺序", Cell::count},
    {"collector", "管片人员"},
    {"contact", "联系方式"},
};
const Column kKeyColumns[] = {
    {"key", "钥匙编号"},
    {"label", "名称"},
    {"class", "类别", Cell::word, kKeyClasses},
    {"state", "状态", Cell::word, kKeyPlaces},
    {"cabinet", "钥匙柜"},
    {"slot", "位号"},
    {"place", "存放处"},
    {"set", "套"},
    {"count", "数量", Cell::count},
    {"opens", "房号/部位"},
    {"since", "状态起始", Cell::time},
    {"person", "持有人"},
    {"ticket", "派工单号"},
    {"due_at", "应还时间", Cell::time},
};
const Column kTicketColumns[] = {
    {"number", "派工单号"},
    {"kind", "类型", Cell::word, kTicketKinds},
    {"state", "状态"},
    {"urgency", "紧急程度", Cell::word, kUrgencies},
    {"category", "类别"},
    {"unit", "房号"},
    {"unit_label", "房屋"},
    {"place", "部位"},
    {"text", "报修内容"},
    {"channel", "报修方式"},
    {"external_no", "外部单号"},
    {"by", "接单记录人"},
    {"crew", "维修人"},
    {"reported_at", "报修时间", Cell::time},
    {"dispatched_at", "派单时间", Cell::time},
    {"started_at", "到场时间", Cell::time},
    {"done_at", "完工时间", Cell::time},
    {"visited_at", "回访时间", Cell::time},
    {"closed_at", "关单时间", Cell::time},
    {"done_by", "完工时限", Cell::time},
    {"result", "处理结果"},
    {"rating", "满意度"},
    {"agreed_price", "约定费用", Cell::money},
    {"material", "材料费", Cell::money},
    {"labour", "人工费", Cell::money},
    {"pay_method", "付款方式", Cell::word, kMethodWords},
    {"receipt", "收据号"},
    {"reopened", "重开次数", Cell::count},
};
const TableSpec kUnits{"units", "房屋", kUnitColumns};
const TableSpec kKeys{"keys", "钥匙保管清单", kKeyColumns};
const TableSpec kTickets{"tickets", "派工单", kTicketColumns};

}  // namespace

Response table_units(Call& call) {
    return table_response(call, kUnits, list_source(call, get_units, kUnits));
}

Response table_keys(Call& call) {
    return table_response(call, kKeys, list_source(call, get_keys, kKeys));
}

Response table_tickets(Call& call) {
    return table_response(call, kTickets, list_source(call, get_tickets, kTickets));
}

}  // namespace gatehouse::http
