/* JPEG by libjpeg-turbo, fed as Pillow feeds it: from memory, by a source that suspends at the end of the bytes.
 *
 * libjpeg reports a fatal error through error_exit, which must not return. Here it jumps back to the call that was made from
 * Rust; no frame of Rust or C++ is in between. Each entry point sets the jump up anew. Warnings are counted by libjpeg and
 * nothing is printed. One handle belongs to one thread at a time; there is no global state.
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jpeglib.h"

enum { DONE = 0, BROKEN = 1, CUT = 2 };
enum { FEWEST_COLUMNS = 16 };

typedef struct {
    struct jpeg_decompress_struct decoder;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    jmp_buf escape;
    int ran_out; /* whether bytes were asked for that the file does not have */
    char message[JMSG_LENGTH_MAX];
} flambeau_jpeg;

static void on_error(j_common_ptr decoder) {
    flambeau_jpeg *jpeg = decoder->client_data;
    decoder->err->format_message(decoder, jpeg->message);
    longjmp(jpeg->escape, 1);
}

static void on_message(j_common_ptr decoder) { (void)decoder; }

static void do_nothing(j_decompress_ptr decoder) { (void)decoder; }

/* No more bytes will come: suspend. */
static boolean suspend(j_decompress_ptr decoder) {
    ((flambeau_jpeg *)decoder->client_data)->ran_out = 1;
    return FALSE;
}

static void skip(j_decompress_ptr decoder, long bytes) {
    struct jpeg_source_mgr *source = decoder->src;
    size_t skipped = bytes < 0 ? 0 : (size_t)bytes;
    if (skipped > source->bytes_in_buffer) skipped = source->bytes_in_buffer;
    source->next_input_byte += skipped;
    source->bytes_in_buffer -= skipped;
}

void flambeau_jpeg_close(flambeau_jpeg *jpeg) {
    if (jpeg == NULL) return;
    jpeg_destroy_decompress(&jpeg->decoder); /* frees memory, and cannot fail */
    free(jpeg);
}

static int create(flambeau_jpeg *jpeg) {
    if (setjmp(jpeg->escape)) return BROKEN;
    jpeg_create_decompress(&jpeg->decoder);
    return DONE;
}

/* The bytes must outlive the handle. NULL when there is no memory. */
flambeau_jpeg *flambeau_jpeg_open(const uint8_t *bytes, size_t length) {
    flambeau_jpeg *jpeg = calloc(1, sizeof *jpeg);
    if (jpeg == NULL) return NULL;
    jpeg->decoder.err = jpeg_std_error(&jpeg->errors);
    jpeg->errors.error_exit = on_error;
    jpeg->errors.output_message = on_message;
    jpeg->decoder.client_data = jpeg;
    if (create(jpeg) != DONE) {
        flambeau_jpeg_close(jpeg);
        return NULL;
    }
    jpeg->source.init_source = do_nothing;
    jpeg->source.term_source = do_nothing;
    jpeg->source.fill_input_buffer = suspend;
    jpeg->source.skip_input_data = skip;
    jpeg->source.resync_to_restart = jpeg_resync_to_restart;
    jpeg->source.next_input_byte = bytes;
    jpeg->source.bytes_in_buffer = length;
    jpeg->decoder.src = &jpeg->source;
    return jpeg;
}

/* Why the last call was BROKEN. */
const char *flambeau_jpeg_message(const flambeau_jpeg *jpeg) { return jpeg->message; }

/* Reads up to the first scan. `components` is 1 (gray), 3 (color) or 4 (inks), or what the file says; `blocks` whether samples were
 * coded in blocks (by a DCT), so that the picture can be shrunk while it is decoded, and a part of it alone. */
int flambeau_jpeg_header(flambeau_jpeg *jpeg, uint32_t *width, uint32_t *height, uint32_t *components, int *blocks) {
    struct jpeg_decompress_struct *decoder = &jpeg->decoder;
    int found;
    if (setjmp(jpeg->escape)) return BROKEN;
    do {
        found = jpeg_read_header(decoder, FALSE);
    } while (found == JPEG_HEADER_TABLES_ONLY);
    if (found == JPEG_SUSPENDED) return CUT;
    *width = decoder->image_width;
    *height = decoder->image_height;
    *components = (uint32_t)decoder->num_components;
    *blocks = decoder->progressive_mode || decoder->Se != 0; /* a lossless scan has no spectrum */
    return DONE;
}

/* Begins to decode, each side divided by `shrink` (1, 2, 4 or 8; fractions count as a pixel), and says the size that came of it. A
 * pixel is one byte for one component, else four: red, green, blue and 255 for three, the inks as stored for four. */
int flambeau_jpeg_start(flambeau_jpeg *jpeg, uint32_t shrink, uint32_t *width, uint32_t *height) {
    struct jpeg_decompress_struct *decoder = &jpeg->decoder;
    if (setjmp(jpeg->escape)) return BROKEN;
    switch (decoder->num_components) {
    case 1: decoder->out_color_space = JCS_GRAYSCALE; break;
    case 3: decoder->out_color_space = JCS_EXT_RGBA; break;
    default: decoder->out_color_space = JCS_CMYK;
    }
    decoder->scale_num = 1;
    decoder->scale_denom = shrink;
    if (!jpeg_start_decompress(decoder)) return CUT;
    *width = decoder->output_width;
    *height = decoder->output_height;
    return DONE;
}

/* Whether a part of the picture has the pixels that it has in the whole. Not where a progressive file leaves coefficients out, which
 * libjpeg then guesses from the neighbors that it has. */
static int parts_are_exact(const struct jpeg_decompress_struct *decoder) {
    if (!decoder->progressive_mode) return decoder->Se != 0;
    for (int at = 0; at < decoder->num_components; at++) {
        for (int coefficient = 0; coefficient < 10; coefficient++) {
            if (decoder->coef_bits[at][coefficient] != 0) return 0;
        }
    }
    return 1;
}

/* Leaves out columns before `left` and from `left + width` on. Where that would change the others, fewer or none are left out: `left`
 * and `width` then say which rows will have. */
int flambeau_jpeg_narrow(flambeau_jpeg *jpeg, uint32_t *left, uint32_t *width) {
    struct jpeg_decompress_struct *decoder = &jpeg->decoder;
    if (setjmp(jpeg->escape)) return BROKEN;
    if (!parts_are_exact(decoder) || *left > decoder->output_width || *width > decoder->output_width - *left) {
        *left = 0;
        *width = decoder->output_width;
        return DONE;
    }
    /* Chroma is smoothed over its neighbors: a column beyond each side keeps those at the edge as they are in the whole. In pictures
     * of a few columns it is not, so a part is never one. */
    JDIMENSION first = *left > 0 ? *left - 1 : 0;
    JDIMENSION end = *left + *width + 1;
    if (end < first + FEWEST_COLUMNS) end = first + FEWEST_COLUMNS;
    if (end > decoder->output_width) end = decoder->output_width;
    if (end - first < FEWEST_COLUMNS) first = end < FEWEST_COLUMNS ? 0 : end - FEWEST_COLUMNS;
    JDIMENSION count = end - first;
    jpeg_crop_scanline(decoder, &first, &count);
    *left = first;
    *width = count;
    return DONE;
}

static int read_rows(struct jpeg_decompress_struct *decoder, uint8_t *pixels, size_t row_bytes, uint32_t rows) {
    for (uint32_t row = 0; row < rows; row++) {
        JSAMPROW place = pixels + (size_t)row * row_bytes;
        if (jpeg_read_scanlines(decoder, &place, 1) != 1) return CUT;
    }
    return DONE;
}

/* Passes over `rows`, of which at least one more must follow: what nobody wants of them is not computed, but they are read, and
 * damage in them is found. */
static int pass_over(flambeau_jpeg *jpeg, uint32_t rows, uint8_t *room) {
    struct jpeg_decompress_struct *decoder = &jpeg->decoder;
    if (parts_are_exact(decoder)) {
        jpeg->ran_out = 0;
        jpeg_skip_scanlines(decoder, rows);
        return jpeg->ran_out ? CUT : DONE; /* it does not say so itself */
    }
    for (uint32_t row = 0; row < rows; row++) {
        int code = read_rows(decoder, room, 0, 1);
        if (code != DONE) return code;
    }
    return DONE;
}

static int check_row(flambeau_jpeg *jpeg, size_t row_bytes) {
    struct jpeg_decompress_struct *decoder = &jpeg->decoder;
    if ((size_t)decoder->output_width * (size_t)decoder->output_components == row_bytes) return DONE;
    snprintf(jpeg->message, sizeof jpeg->message, "it has %u x %d samples a row", decoder->output_width, decoder->output_components);
    return BROKEN;
}

/* Decodes the next `rows` to `pixels`, `row_bytes` each. */
int flambeau_jpeg_rows(flambeau_jpeg *jpeg, uint8_t *pixels, size_t row_bytes, uint32_t rows) {
    if (setjmp(jpeg->escape)) return BROKEN;
    if (check_row(jpeg, row_bytes) != DONE) return BROKEN;
    return read_rows(&jpeg->decoder, pixels, row_bytes, rows);
}

/* Leaves out the next `rows`, after which at least one must follow. `room` has room for one row. */
int flambeau_jpeg_skip(flambeau_jpeg *jpeg, uint8_t *room, size_t row_bytes, uint32_t rows) {
    if (setjmp(jpeg->escape)) return BROKEN;
    if (check_row(jpeg, row_bytes) != DONE) return BROKEN;
    return pass_over(jpeg, rows, room);
}

/* Leaves out the rows that are left, and looks for damage in them. As for Pillow, the end marker may be missing. `room` has room for
 * one row. */
int flambeau_jpeg_finish(flambeau_jpeg *jpeg, uint8_t *room, size_t row_bytes) {
    struct jpeg_decompress_struct *decoder = &jpeg->decoder;
    if (setjmp(jpeg->escape)) return BROKEN;
    if (check_row(jpeg, row_bytes) != DONE) return BROKEN;
    uint32_t left = decoder->output_height - decoder->output_scanline;
    if (left > 0 && jpeg_has_multiple_scans(decoder) && parts_are_exact(decoder)) {
        jpeg_skip_scanlines(decoder, left); /* all of the file was read before the first row */
    } else if (left > 0) {
        int code = left > 1 ? pass_over(jpeg, left - 1, room) : DONE;
        if (code == DONE) code = read_rows(decoder, room, 0, 1);
        if (code != DONE) return code;
    }
    (void)jpeg_finish_decompress(decoder);
    return DONE;
}
