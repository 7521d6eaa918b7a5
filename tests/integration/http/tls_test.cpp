// The listener under TLS, with a certificate made for the test.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <fstream>
#include <string>

#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;
namespace asio = boost::asio;
namespace beast = boost::beast;

namespace {

void make_certificate(const std::string& cert_file, const std::string& key_file) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    REQUIRE(key != nullptr);
    X509* cert = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME* name = X509_get_subject_name(cert);
    const unsigned char common[] = "gatehouse";
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0);
    X509_set_issuer_name(cert, name);
    REQUIRE(X509_sign(cert, key, EVP_sha256()) > 0);
    std::FILE* file = std::fopen(cert_file.c_str(), "w");
    PEM_write_X509(file, cert);
    std::fclose(file);
    file = std::fopen(key_file.c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
}

}  // namespace

TEST_CASE("the listener speaks TLS 1.2 and later, to those who bear a token") {
    Folder folder;
    HouseOptions options;
    options.tls_cert_file = folder.file("cert.pem");
    options.tls_key_file = folder.file("key.pem");
    make_certificate(options.tls_cert_file, options.tls_key_file);
    HttpHouse house(options);
    const std::string token = house.add_token("abc", {"meters:read"});

    asio::io_context context;
    asio::ssl::context trust(asio::ssl::context::tls_client);
    trust.load_verify_file(options.tls_cert_file);
    trust.set_verify_mode(asio::ssl::verify_peer);
    asio::ssl::stream<beast::tcp_stream> stream(context, trust);
    beast::get_lowest_layer(stream).connect(asio::ip::tcp::endpoint(
        asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(house.server->port())));
    stream.handshake(asio::ssl::stream_base::client);
    beast::flat_buffer buffer;
    for (const auto& [bearer, status] :
         {std::pair<std::string, unsigned>{token, 200}, {token + "x", 401}}) {
        beast::http::request<beast::http::empty_body> request(beast::http::verb::get,
                                                              "/api/v1/meters", 11);
        request.set(beast::http::field::host, "localhost");
        request.set(beast::http::field::authorization, "Bearer " + bearer);
        beast::http::write(stream, request);
        beast::http::response<beast::http::string_body> response;
        beast::http::read(stream, buffer, response);
        REQUIRE(response.result_int() == status);
    }
}

TEST_CASE("a peer that speaks plain HTTP to the TLS listener is shed and harms nobody") {
    Folder folder;
    HouseOptions options;
    options.tls_cert_file = folder.file("cert.pem");
    options.tls_key_file = folder.file("key.pem");
    options.limits.header_timeout_ms = 200;
    make_certificate(options.tls_cert_file, options.tls_key_file);
    HttpHouse house(options);
    Wire plain(house.server->port());
    plain.send(request_text("GET", "/healthz", "", ""));
    REQUIRE(plain.ended());
    Wire silent(house.server->port());
    REQUIRE(silent.ended());
    REQUIRE(house.ask("GET", "/healthz").status == 200);
}

TEST_CASE("a certificate that is no certificate stops the start with its name") {
    HttpHouse house;
    http::ServerOptions options;
    options.listen_host = "127.0.0.1";
    options.database_path = house.folder.file("books.db");
    options.tls_cert_file = house.folder.file("cert.pem");
    options.tls_key_file = house.folder.file("key.pem");
    std::ofstream(options.tls_cert_file) << "nonsense";
    try {
        http::Server(options, house.engine, house.meters, house.commissioning, house.status,
                     house.zone, house.clock, house.random);
        FAIL("it started");
    } catch (const http::ServerError& error) {
        REQUIRE(std::string(error.what()).find("tls_cert_file") != std::string::npos);
    }
}
