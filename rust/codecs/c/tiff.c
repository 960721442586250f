/* TIFF by libtiff, from memory: what the first image is, and its strips or tiles, decompressed.
 *
 * Errors go to a handler of the handle, never to stderr or a global one. Memory that libtiff allocates for a handle has a limit.
 * The directory and every block are bounds-checked by libtiff against the length of the bytes. The declarations below are the part
 * of libtiff's stable API (since 4.5) that is used; the library itself is linked by build.rs.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tiff TIFF;
typedef struct TIFFOpenOptions TIFFOpenOptions;
typedef int64_t tmsize_t;
typedef int (*handler)(TIFF *, void *, const char *, const char *, va_list);

extern TIFFOpenOptions *TIFFOpenOptionsAlloc(void);
extern void TIFFOpenOptionsFree(TIFFOpenOptions *);
extern void TIFFOpenOptionsSetMaxSingleMemAlloc(TIFFOpenOptions *, tmsize_t);
extern void TIFFOpenOptionsSetMaxCumulatedMemAlloc(TIFFOpenOptions *, tmsize_t);
extern void TIFFOpenOptionsSetErrorHandlerExtR(TIFFOpenOptions *, handler, void *);
extern void TIFFOpenOptionsSetWarningHandlerExtR(TIFFOpenOptions *, handler, void *);
extern TIFF *TIFFClientOpenExt(
    const char *, const char *, void *, tmsize_t (*)(void *, void *, tmsize_t), tmsize_t (*)(void *, void *, tmsize_t),
    uint64_t (*)(void *, uint64_t, int), int (*)(void *), uint64_t (*)(void *), int (*)(void *, void **, uint64_t *),
    void (*)(void *, void *, uint64_t), TIFFOpenOptions *);
extern void TIFFClose(TIFF *);
extern int TIFFGetField(TIFF *, uint32_t, ...);
extern int TIFFGetFieldDefaulted(TIFF *, uint32_t, ...);
extern int TIFFSetField(TIFF *, uint32_t, ...);
extern int TIFFIsTiled(TIFF *);
extern uint32_t TIFFNumberOfStrips(TIFF *);
extern uint32_t TIFFNumberOfTiles(TIFF *);
extern tmsize_t TIFFStripSize(TIFF *);
extern tmsize_t TIFFTileSize(TIFF *);
extern tmsize_t TIFFScanlineSize(TIFF *);
extern tmsize_t TIFFTileRowSize(TIFF *);
extern tmsize_t TIFFReadEncodedStrip(TIFF *, uint32_t, void *, tmsize_t);
extern tmsize_t TIFFReadEncodedTile(TIFF *, uint32_t, void *, tmsize_t);
extern uint64_t TIFFGetStrileOffsetWithErr(TIFF *, uint32_t, int *);
extern uint64_t TIFFGetStrileByteCount(TIFF *, uint32_t);
extern int TIFFReadRGBAImageOriented(TIFF *, uint32_t, uint32_t, uint32_t *, int, int);

enum { /* tags */
    IMAGE_WIDTH = 256, IMAGE_LENGTH = 257, BITS_PER_SAMPLE = 258, COMPRESSION = 259, PHOTOMETRIC = 262, FILL_ORDER = 266,
    ORIENTATION = 274, SAMPLES_PER_PIXEL = 277, ROWS_PER_STRIP = 278, PLANAR_CONFIG = 284, COLOR_MAP = 320, TILE_WIDTH = 322,
    TILE_LENGTH = 323, EXTRA_SAMPLES = 338, SAMPLE_FORMAT = 339, JPEG_COLOR_MODE = 65538,
};
enum { TOP_LEFT = 1, COMPRESSION_JPEG = 7, PHOTOMETRIC_YCBCR = 6, ONE_PLANE = 1, JPEG_COLOR_MODE_RGB = 1, MOST_EXTRA = 8 };

typedef struct {
    TIFF *tiff;
    const uint8_t *bytes;
    uint64_t length;
    uint64_t at;
    char message[256];
} flambeau_tiff;

/* The same as `Description` in tiff.rs. */
typedef struct {
    uint32_t width, height, block_width, block_height, blocks;
    uint64_t block_bytes, row_bytes, first_stored_bytes;
    uint16_t tiled, bits, samples, sample_format, photometric, planar, compression, fill_order, orientation, extra_count;
    uint16_t extra[MOST_EXTRA];
    const uint16_t *palette[3];
} flambeau_tiff_description;

static tmsize_t read_bytes(void *client, void *into, tmsize_t wanted) {
    flambeau_tiff *file = client;
    uint64_t left = file->at < file->length ? file->length - file->at : 0;
    uint64_t count = wanted < 0 ? 0 : (uint64_t)wanted;
    if (count > left) count = left;
    if (count > 0) memcpy(into, file->bytes + file->at, count);
    file->at += count;
    return (tmsize_t)count;
}

static tmsize_t write_bytes(void *client, void *from, tmsize_t count) {
    (void)client, (void)from, (void)count;
    return -1;
}

static uint64_t seek(void *client, uint64_t offset, int whence) {
    flambeau_tiff *file = client;
    uint64_t base = whence == SEEK_CUR ? file->at : whence == SEEK_END ? file->length : 0;
    file->at = base + offset;
    return file->at;
}

static int close_nothing(void *client) {
    (void)client;
    return 0;
}

static uint64_t size(void *client) { return ((flambeau_tiff *)client)->length; }

static int map(void *client, void **base, uint64_t *length) {
    flambeau_tiff *file = client;
    *base = (void *)file->bytes; /* libtiff reads from it only, in mode "r" */
    *length = file->length;
    return 1;
}

static void unmap(void *client, void *base, uint64_t length) { (void)client, (void)base, (void)length; }

/* Keeps the first error: it is the cause, those after it are what follows. */
static int on_error(TIFF *tiff, void *client, const char *module, const char *format, va_list values) {
    flambeau_tiff *file = client;
    (void)tiff, (void)module;
    if (file->message[0] == 0) vsnprintf(file->message, sizeof file->message, format, values);
    return 1;
}

static int on_warning(TIFF *tiff, void *client, const char *module, const char *format, va_list values) {
    (void)tiff, (void)client, (void)module, (void)format, (void)values;
    return 1;
}

void flambeau_tiff_close(flambeau_tiff *file) {
    if (file == NULL) return;
    if (file->tiff != NULL) TIFFClose(file->tiff);
    free(file);
}

const char *flambeau_tiff_message(const flambeau_tiff *file) { return file->message; }

/* Whether the handle, which is to be closed in any case, can be asked more. */
int flambeau_tiff_is_open(const flambeau_tiff *file) { return file->tiff != NULL; }

/* The bytes must outlive the handle. NULL when there is no memory. */
flambeau_tiff *flambeau_tiff_open(const uint8_t *bytes, uint64_t length, int64_t most_bytes) {
    flambeau_tiff *file = calloc(1, sizeof *file);
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (file != NULL && options != NULL) {
        file->bytes = bytes;
        file->length = length;
        TIFFOpenOptionsSetMaxSingleMemAlloc(options, most_bytes);
        TIFFOpenOptionsSetMaxCumulatedMemAlloc(options, most_bytes);
        TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, file);
        TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, file);
        file->tiff = TIFFClientOpenExt("", "rC", file, read_bytes, write_bytes, seek, close_nothing, size, map, unmap, options);
    }
    if (options != NULL) TIFFOpenOptionsFree(options);
    return file;
}

void flambeau_tiff_describe(flambeau_tiff *file, flambeau_tiff_description *d) {
    TIFF *tiff = file->tiff;
    uint16_t *extra = NULL;
    uint16_t *red = NULL, *green = NULL, *blue = NULL;
    memset(d, 0, sizeof *d);
    TIFFGetField(tiff, IMAGE_WIDTH, &d->width);
    TIFFGetField(tiff, IMAGE_LENGTH, &d->height);
    TIFFGetFieldDefaulted(tiff, BITS_PER_SAMPLE, &d->bits);
    TIFFGetFieldDefaulted(tiff, SAMPLES_PER_PIXEL, &d->samples);
    TIFFGetFieldDefaulted(tiff, SAMPLE_FORMAT, &d->sample_format);
    TIFFGetFieldDefaulted(tiff, COMPRESSION, &d->compression);
    TIFFGetFieldDefaulted(tiff, FILL_ORDER, &d->fill_order);
    TIFFGetFieldDefaulted(tiff, PLANAR_CONFIG, &d->planar);
    TIFFGetFieldDefaulted(tiff, ORIENTATION, &d->orientation);
    TIFFGetField(tiff, PHOTOMETRIC, &d->photometric);
    if (TIFFGetField(tiff, EXTRA_SAMPLES, &d->extra_count, &extra) && extra != NULL) {
        for (int at = 0; at < d->extra_count && at < MOST_EXTRA; at++) d->extra[at] = extra[at];
    } else {
        d->extra_count = 0;
    }
    if (TIFFGetField(tiff, COLOR_MAP, &red, &green, &blue)) {
        d->palette[0] = red;
        d->palette[1] = green;
        d->palette[2] = blue;
    }
    if (d->photometric == PHOTOMETRIC_YCBCR && d->compression == COMPRESSION_JPEG && d->planar == ONE_PLANE) {
        TIFFSetField(tiff, JPEG_COLOR_MODE, JPEG_COLOR_MODE_RGB); /* libjpeg converts and doubles the chroma */
    }
    d->tiled = TIFFIsTiled(tiff) != 0;
    if (d->tiled) {
        TIFFGetField(tiff, TILE_WIDTH, &d->block_width);
        TIFFGetField(tiff, TILE_LENGTH, &d->block_height);
        d->blocks = TIFFNumberOfTiles(tiff);
        d->block_bytes = (uint64_t)TIFFTileSize(tiff);
        d->row_bytes = (uint64_t)TIFFTileRowSize(tiff);
    } else {
        d->block_width = d->width;
        if (!TIFFGetField(tiff, ROWS_PER_STRIP, &d->block_height) || d->block_height > d->height) d->block_height = d->height;
        d->blocks = TIFFNumberOfStrips(tiff);
        d->block_bytes = (uint64_t)TIFFStripSize(tiff);
        d->row_bytes = (uint64_t)TIFFScanlineSize(tiff);
    }
    d->first_stored_bytes = TIFFGetStrileByteCount(tiff, 0);
}

/* Where block `number` begins in the file; 0 where that is not known. */
uint64_t flambeau_tiff_offset(flambeau_tiff *file, uint32_t number) {
    int failed = 0;
    uint64_t offset = TIFFGetStrileOffsetWithErr(file->tiff, number, &failed);
    return failed ? 0 : offset;
}

/* Decompresses block `number`, in this machine's byte order and with its first pixel in the highest bits. Bytes, or -1. */
int64_t flambeau_tiff_block(flambeau_tiff *file, uint32_t number, uint8_t *into, int64_t room) {
    return TIFFIsTiled(file->tiff) ? TIFFReadEncodedTile(file->tiff, number, into, room)
                                   : TIFFReadEncodedStrip(file->tiff, number, into, room);
}

/* All pixels as red, green, blue, alpha, stored row first, as libtiff converts them. Whether it could; not if the image is not of the
 * size that `pixels` has. */
int flambeau_tiff_rgba(flambeau_tiff *file, uint32_t width, uint32_t height, uint32_t *pixels) {
    uint32_t own_width = 0, own_height = 0;
    TIFFGetField(file->tiff, IMAGE_WIDTH, &own_width);
    TIFFGetField(file->tiff, IMAGE_LENGTH, &own_height);
    if (own_width != width || own_height != height) return 0;
    TIFFSetField(file->tiff, ORIENTATION, TOP_LEFT); /* in memory: the caller turns the picture */
    return TIFFReadRGBAImageOriented(file->tiff, width, height, pixels, TOP_LEFT, 1);
}
