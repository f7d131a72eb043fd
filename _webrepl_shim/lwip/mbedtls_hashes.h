// What the board has of mbedtls: hashlib's two.
#define MBEDTLS_SHA1_C
#define MBEDTLS_SHA256_C
